/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transfer_test.c - one pass over a blob, from registry or layout to registry or layout:
 * what breaks on either side, what is never complete there, what is left behind.
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"
#include "tests/oci/lab.h"

#include <dirent.h>
#include <ftw.h>

#include "oci/push.h"
#include "oci/transfer.h"

#define BLOB_BYTES 3000000

static struct registry from, to;
static struct lab lab;
static struct oci_ref src, dst;

/* What a reader saw of the blob. */
struct seen {
	struct digest_ctx hash;
	uint64_t bytes, progress;
	unsigned restarts;
	bool is_ended;
	uint64_t fail_at;		/* bytes after which on_data fails; 0: never */
	uint64_t stop_at;		/* the same for on_progress */
	bool refuse_end;
};

static int seen_data(void *arg, const uint8_t *data, size_t len, struct err *err)
{
	struct seen *s = arg;

	digest_update(&s->hash, data, len);
	s->bytes += len;
	if (s->fail_at && s->bytes >= s->fail_at)
		return err_set(err, ERR_CORRUPT, EBADMSG, "not to my taste");
	return 0;
}

static int seen_progress(void *arg, uint64_t bytes)
{
	struct seen *s = arg;

	s->progress = bytes;
	return s->stop_at && bytes >= s->stop_at ? -ECANCELED : 0;
}

static int seen_end(void *arg, struct err *err)
{
	struct seen *s = arg;

	s->is_ended = true;
	return s->refuse_end ? err_set(err, ERR_CORRUPT, EINVAL, "not what I hoped") : 0;
}

static int seen_restart(void *arg, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	digest_init(&s->hash);
	s->bytes = 0;
	s->restarts++;
	return 0;
}

/* A new blob of random bytes at the source. */
static struct oci_desc add_blob(uint64_t size)
{
	struct oci_desc desc = { .size = size };
	char body[64];

	snprintf(body, sizeof(body), "{\"random\": %llu}", (unsigned long long)size);
	if (digest_parse(registry_ctl(&from, "add", body) + 1, 71, &desc.digest) < 0)
		bail("no digest");
	return desc;
}

static bool is_there(const struct digest *d)
{
	char text[DIGEST_TEXT_SIZE], body[128];

	digest_format(d, text);
	snprintf(body, sizeof(body), "{\"digest\": \"%s\"}", text);
	return !strncmp(registry_ctl(&to, "has", body), "true", 4);
}

static int sessions(void)
{
	return atoi(registry_ctl(&to, "uploads", "{}"));
}

static void begin(void)
{
	struct oci_opts opts = { .docker_config = "/nonexistent", .hosts_dirs = "/nonexistent",
				 .retries = 2, .stall_timeout_ms = 1000,
				 .username = "user", .password = "secret" };

	registry_ctl(&from, "reset", "{}");
	registry_ctl(&to, "reset", "{}");
	lab_open(&lab, false, &opts);
	src = lab_ref("127.0.0.1:%d/a/src:1", from.port);
	dst = lab_ref("127.0.0.1:%d/b/dst:1", to.port);
}

static int transfer_to(const struct oci_ref *where, const struct oci_desc *desc,
		       uint64_t chunk_bytes, struct seen *s, enum oci_transfer_sent *ret,
		       struct err *err)
{
	const struct oci_transfer t = {
		.from = &src, .to = where, .desc = desc, .chunk_bytes = chunk_bytes,
		.on_data = s ? seen_data : NULL, .on_progress = s ? seen_progress : NULL,
		.on_end = s ? seen_end : NULL, .on_restart = s ? seen_restart : NULL, .arg = s,
	};

	if (s)
		digest_init(&s->hash);
	return oci_blob_transfer(lab.c, &t, ret, err);
}

static void saw_all(struct seen *s, const struct oci_desc *desc, const char *name)
{
	struct digest got;

	digest_final(&s->hash, &got);
	ok(s->bytes == desc->size && s->progress == desc->size && s->is_ended &&
	   digest_is_equal(&got, &desc->digest), "%s: every byte was shown once, in order", name);
}

/* One blob with a rule at either side. */
static void one(const char *name, const char *from_rule, const char *to_rule,
		uint64_t chunk_bytes, int want, unsigned restarts)
{
	struct oci_desc desc = add_blob(BLOB_BYTES);
	enum oci_transfer_sent sent = OCI_TRANSFER_PRESENT;
	struct seen s = { .restarts = 0 };
	struct err err = ERR_INIT;

	begin();
	if (from_rule)
		registry_ctl(&from, "fault", from_rule);
	if (to_rule)
		registry_ctl(&to, "fault", to_rule);
	is_int(transfer_to(&dst, &desc, chunk_bytes, &s, &sent, &err), want, "%s %s", name,
	       err.text);
	is_int(is_there(&desc.digest), want == 0, "%s: is it there?", name);
	is_int(s.restarts, restarts, "%s: begun anew", name);
	is_int(sessions(), 0, "%s: no session is left", name);
	if (want == 0) {
		saw_all(&s, &desc, name);
		is_int(sent, OCI_TRANSFER_SENT, "%s: sent", name);
	}
	lab_close(&lab);
}

static void test_upload(void)
{
	one("plain", NULL, NULL, 0, 0, 0);
	one("in pieces", NULL, NULL, 250000, 0, 0);
	one("in pieces of its size", NULL, NULL, BLOB_BYTES, 0, 0);
	one("PUT reset in its body",
	    NULL, "{\"match\":\"^PUT\",\"do\":\"reset-upload\",\"after\":1500000}", 0, 0, 1);
	one("PUT reset twice", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"reset-upload\",\"after\":200,\"times\":2}", 0, 0, 2);
	one("a piece reset", NULL,
	    "{\"match\":\"^PATCH\",\"do\":\"reset-upload\",\"after\":9,\"skip\":4}", 250000, 0, 1);
	one("session lost", NULL, "{\"match\":\"^PUT\",\"do\":\"status\",\"status\":404}", 0, 0, 1);
	one("PUT always reset", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"reset-upload\",\"after\":1000,\"times\":-1}", 0, -EIO, 2);
	one("PUT stalls", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"stall-upload\",\"after\":1000,\"seconds\":4}", 0, 0, 1);
	one("too large, said early", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"early\",\"status\":413,\"times\":-1}", 0, -EPROTO, 0);
	one("stored slowly", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"delay\",\"seconds\":3}", 0, 0, 0);
	one("stored slowly, in pieces", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"delay\",\"seconds\":3}", 250000, 0, 0);
	one("may not push", NULL,
	    "{\"match\":\"^POST\",\"do\":\"status\",\"status\":403,\"times\":-1}", 0, -EACCES, 0);
	one("stored something else", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"status\",\"status\":201,\"times\":-1,\"headers\":"
	    "{\"Docker-Content-Digest\":\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaa\"}}", 0, -EBADMSG, 0);
}

/* A registry that claims to have what was not sent yet; it may hang up before it is heard. */
static void test_liar(void)
{
	struct oci_desc desc = add_blob(BLOB_BYTES);
	struct err err = ERR_INIT;
	struct seen s = { .bytes = 0 };
	int r;

	begin();
	registry_ctl(&to, "fault",
		     "{\"match\":\"^PUT\",\"do\":\"early\",\"status\":201,\"times\":-1}");
	r = transfer_to(&dst, &desc, 0, &s, NULL, &err);
	ok(r == -EPROTO || r == -EIO, "stored before it was sent %s", err.text);
	is_int(sessions(), 0, "a liar: no session is left");
	lab_close(&lab);
}

static void test_source(void)
{
	one("source reset in its body, resumed",
	    "{\"match\":\"GET .*blobs\",\"do\":\"reset-body\",\"after\":1000000}", NULL, 0, 0, 0);
	one("source corrupt",
	    "{\"match\":\"GET .*blobs\",\"do\":\"corrupt\",\"at\":2999999,\"times\":-1}", NULL, 0,
	    -EBADMSG, 0);
	one("source corrupt, in pieces",
	    "{\"match\":\"GET .*blobs\",\"do\":\"corrupt\",\"at\":7,\"times\":-1}", NULL, 100000,
	    -EBADMSG, 0);
	one("source gone", "{\"match\":\"GET .*blobs\",\"do\":\"status\",\"status\":404,\"times\":-1}",
	    NULL, 0, -ENOENT, 0);
	one("source reset for ever",
	    "{\"match\":\"GET .*blobs\",\"do\":\"reset-body\",\"after\":100,\"times\":-1}", NULL, 0,
	    -EIO, 0);
}

/* Told when to come back, it comes back then. */
static void test_retry_after(void)
{
	uint64_t start = io_now_ms();

	one("429 to PUT", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"status\",\"status\":429,\"headers\":{\"Retry-After\":\"1\"}}",
	    0, 0, 1);
	ok(io_now_ms() - start >= 900, "429 to PUT: not before it was told to");
	one("told to come back tomorrow", NULL,
	    "{\"match\":\"^PUT\",\"do\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"86400\"}}",
	    0, -EIO, 0);
}

/* Whoever looks at the bytes does not like them. */
static void refuse(struct seen s, int want, const char *text, const char *name)
{
	struct oci_desc desc = add_blob(BLOB_BYTES);
	struct err err = ERR_INIT;

	begin();
	is_int(transfer_to(&dst, &desc, 0, &s, NULL, &err), want, "%s %s", name, err.text);
	ok(strstr(err.text, text) != NULL, "%s: said so", name);
	ok(!is_there(&desc.digest), "%s: not there", name);
	is_int(sessions(), 0, "%s: no session is left", name);
	lab_close(&lab);
}

static void test_reader(void)
{
	refuse((struct seen){ .fail_at = 1 }, -EBADMSG, "not to my taste", "first byte refused");
	refuse((struct seen){ .fail_at = BLOB_BYTES }, -EBADMSG, "not to my taste",
	       "last byte refused");
	refuse((struct seen){ .refuse_end = true }, -EINVAL, "not what I hoped", "end refused");
	refuse((struct seen){ .stop_at = 1000000 }, -ECANCELED, "interrupted", "stopped");
}

static void test_there(void)
{
	struct oci_desc desc = add_blob(BLOB_BYTES), none = { .size = 0 };
	enum oci_transfer_sent sent;
	struct err err = ERR_INIT;
	struct seen s = { .bytes = 0 };

	begin();
	transfer_to(&dst, &desc, 0, NULL, &sent, &err);
	is_int(transfer_to(&dst, &desc, 0, NULL, &sent, &err), 0, "again %s", err.text);
	is_int(sent, OCI_TRANSFER_PRESENT, "it was there");
	is_int(registry_count(&from, "GET"), 1, "and was not read again");
	is_int(transfer_to(&dst, &desc, 0, &s, &sent, &err), 0, "again, looked at %s", err.text);
	saw_all(&s, &desc, "there, looked at");
	is_int(registry_count(&to, "^POST"), 1, "and not sent again");
	s = (struct seen){ .bytes = 0 };
	is_int(transfer_to(NULL, &desc, 0, &s, NULL, &err), 0, "looked at only %s", err.text);
	saw_all(&s, &desc, "looked at only");
	digest_of("", 0, &none.digest);
	registry_ctl(&from, "add", "{\"text\": \"\"}");
	s = (struct seen){ .bytes = 0 };
	is_int(transfer_to(&dst, &none, 0, &s, &sent, &err), 0, "an empty blob %s", err.text);
	ok(is_there(&none.digest) && s.is_ended, "is there, too");
	lab_close(&lab);
}

/* From one repository of a registry to another: HEAD does not see it there. */
static void mount(const char *settings, const char *fault, enum oci_transfer_sent want,
		  const char *name)
{
	struct oci_desc desc = add_blob(BLOB_BYTES);
	enum oci_transfer_sent sent = OCI_TRANSFER_PRESENT;
	struct seen s = { .bytes = 0 };
	struct err err = ERR_INIT;

	begin();
	dst = lab_ref("127.0.0.1:%d/b/dst:1", from.port);
	registry_ctl(&from, "set", settings);
	registry_ctl(&from, "fault", "{\"match\":\"^HEAD\",\"do\":\"status\",\"status\":404,"
		     "\"times\":-1}");
	if (fault)
		registry_ctl(&from, "fault", fault);
	is_int(transfer_to(&dst, &desc, 0, NULL, &sent, &err), 0, "%s %s", name, err.text);
	is_int(sent, want, "%s: how", name);
	is_int(registry_count(&from, "^PUT") > 0, want == OCI_TRANSFER_SENT, "%s: sent", name);
	ok(registry_count(&from, "^POST.*mount=sha256.*from=a%2Fsrc") > 0, "%s: asked", name);
	is_int(transfer_to(&dst, &desc, 0, &s, &sent, &err), 0, "%s, looked at %s", name,
	       err.text);
	saw_all(&s, &desc, name);
	lab_close(&lab);
}

static void test_mount(void)
{
	mount("{\"mount\": 201}", NULL, OCI_TRANSFER_MOUNTED, "mount");
	mount("{\"mount\": 201, \"auth\": \"basic\"}", NULL, OCI_TRANSFER_MOUNTED,
	      "mount with a password");
	mount("{\"mount\": 202}", NULL, OCI_TRANSFER_SENT, "mount not done, but a session");
	mount("{\"mount\": 404}", NULL, OCI_TRANSFER_SENT, "mount not known");
	mount("{\"mount\": 403}", NULL, OCI_TRANSFER_SENT, "mount not allowed");
	mount("{\"mount\": 202}",
	      "{\"match\":\"^PUT\",\"do\":\"reset-upload\",\"after\":100}", OCI_TRANSFER_SENT,
	      "mount not done, and the upload breaks");
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb;
	(void)type;
	(void)f;
	return remove(path);
}

static int count_files(const char *dir)
{
	struct dirent *e;
	int n = 0;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n;
}

static void test_layout(void)
{
	char dir[] = "/tmp/oci-transfer.XXXXXX", blobs[128];
	struct oci_desc desc = add_blob(BLOB_BYTES), bad = add_blob(BLOB_BYTES);
	struct seen s = { .bytes = 0 };
	struct err err = ERR_INIT;
	struct oci_ref layout;

	if (!mkdtemp(dir))
		bail("mkdtemp");
	layout = lab_ref("oci:%s/l:t", dir);
	snprintf(blobs, sizeof(blobs), "%s/l/blobs/sha256", dir);
	begin();
	is_int(oci_layout_create(layout.dir, &err), 0, "a layout");
	is_int(transfer_to(&layout, &desc, 0, &s, NULL, &err), 0, "to a layout %s", err.text);
	saw_all(&s, &desc, "to a layout");
	is_int(oci_blob_exists(lab.c, &layout, &desc, &err), 1, "it is there");
	registry_ctl(&from, "fault", "{\"match\":\"GET .*blobs\",\"do\":\"corrupt\",\"times\":-1}");
	is_int(transfer_to(&layout, &bad, 0, NULL, NULL, &err), -EBADMSG, "corrupt, to a layout");
	is_int(count_files(blobs), 1, "nothing of it is left");
	src = layout;
	s = (struct seen){ .bytes = 0 };
	is_int(transfer_to(&dst, &desc, 0, &s, NULL, &err), 0, "from the layout %s", err.text);
	saw_all(&s, &desc, "from the layout");
	ok(is_there(&desc.digest), "it is in the registry");
	layout = lab_ref("oci:%s/m:t", dir);
	oci_layout_create(layout.dir, &err);
	is_int(transfer_to(&layout, &desc, 0, NULL, NULL, &err), 0, "layout to layout %s", err.text);
	is_int(oci_blob_exists(lab.c, &layout, &desc, &err), 1, "there as well");
	lab_close(&lab);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A destination that takes nothing keeps the source waiting: little is held. */
static void test_window(void)
{
	struct oci_desc desc = add_blob(64u << 20);
	struct oci_opts opts = { .docker_config = "/nonexistent", .hosts_dirs = "/nonexistent",
				 .no_retries = true, .stall_timeout_ms = 500 };
	struct seen s = { .bytes = 0 };
	struct err err = ERR_INIT;

	begin();
	lab_close(&lab);
	lab_open(&lab, false, &opts);
	registry_ctl(&to, "fault", "{\"match\":\"^PUT\",\"do\":\"stall-upload\",\"after\":1,"
		     "\"seconds\":3,\"times\":-1}");
	is_int(transfer_to(&dst, &desc, 0, &s, NULL, &err), -ETIMEDOUT,
	       "a destination that takes nothing %s", err.text);
	/* What the window and the kernel's socket buffers hold. */
	ok(s.bytes < 32u << 20, "the source waits: %llu bytes read",
	   (unsigned long long)s.bytes);
	is_int(s.restarts, 2, "tried three times");
	lab_close(&lab);
}

int main(void)
{
	from = registry_start("--content", "/nonexistent", NULL);
	to = registry_start("--content", "/nonexistent", NULL);
	test_upload();
	test_liar();
	test_retry_after();
	test_source();
	test_reader();
	test_there();
	test_mount();
	test_layout();
	test_window();
	registry_stop(&from);
	registry_stop(&to);
	return tap_done();
}
