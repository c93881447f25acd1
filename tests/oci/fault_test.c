/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault_test.c - reading ranges of a blob from a registry and a storage that misbehave:
 * whatever they do, the right bytes or an error, each byte once, one end. Built twice: every
 * case runs on the client's own loop (HOOKED 0) and through hooks (HOOKED 1).
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"
#include "tests/oci/lab.h"

#include <fcntl.h>
#include <sys/stat.h>

#define BLOBS "GET /v2/.*/blobs/"

static struct registry reg;
static struct lab lab;
static struct oci_repo *repo;
static struct oci_desc desc;
static struct buf blob;
static const char *mode;
static struct got got;

static void open_repo(const char *name)
{
	struct err err = ERR_INIT;
	struct oci_ref ref;
	char text[300];

	snprintf(text, sizeof(text), "127.0.0.1:%d/%s", reg.port, name);
	if (oci_ref_parse(text, &ref, &err) < 0 || oci_repo_get(lab.c, &ref, &repo, &err) < 0)
		bail("%s", err.text);
}

/* A fresh client and a registry that has forgotten everything. */
static void begin(bool hooked, const struct oci_opts *more)
{
	static const struct oci_opts none;
	struct oci_opts opts = more ? *more : none;

	if (!opts.docker_config)
		opts.docker_config = "/nonexistent";
	if (!opts.hosts_dirs)
		opts.hosts_dirs = "/nonexistent";
	if (!opts.retries)
		opts.retries = 3;
	if (!opts.stall_timeout_ms)
		opts.stall_timeout_ms = 400;
	mode = hooked ? "hooks" : "sync";
	registry_ctl(&reg, "reset", "{}");
	lab_open(&lab, hooked, &opts);
	open_repo("some/repo");
}

static void end(void)
{
	got_reset(&got);
	oci_repo_put(repo);
	lab_close(&lab);
}

static int get(uint64_t off, uint64_t len)
{
	return lab_read(&lab, repo, &desc, off, len, 20000, &got);
}

/* The bytes are exactly [off, off+len) of the blob. */
static bool is_right(uint64_t off, uint64_t len)
{
	if (len == UINT64_MAX)
		len = blob.len - off;
	return got.ndone == 1 && !got.err.num && got.b.len == len &&
	       !memcmp(got.b.data, blob.data + off, len);
}

/* What did come is a true prefix. */
static bool is_prefix(uint64_t off)
{
	return got.b.len <= blob.len - off &&
	       (!got.b.len || !memcmp(got.b.data, blob.data + off, got.b.len));
}

static void fault(const char *rule)
{
	registry_ctl(&reg, "fault", rule);
}

/* --- a fault that a retry heals ------------------------------------------------------ */

static void healed(bool hooked, const char *name, const char *rule, int requests)
{
	begin(hooked, NULL);
	fault(rule);
	get(1000, 50000);
	ok(is_right(1000, 50000), "%s: %s, then well: the bytes are right %s", mode, name,
	   got.err.text);
	if (requests)
		is_int(registry_count(&reg, BLOBS), requests, "%s: %s: requests", mode, name);
	end();
}

static void test_healed(bool hooked)
{
	healed(hooked, "500", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":500}", 2);
	healed(hooked, "503 twice",
	       "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":503,\"times\":2}", 3);
	healed(hooked, "408", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":408}", 2);
	healed(hooked, "reset before the answer", "{\"match\":\"" BLOBS "\",\"do\":\"reset\"}", 0);
	healed(hooked, "hang-up", "{\"match\":\"" BLOBS "\",\"do\":\"close\"}", 0);
	healed(hooked, "not HTTP", "{\"match\":\"" BLOBS "\",\"do\":\"garbage\"}", 0);
	healed(hooked, "short body",
	       "{\"match\":\"" BLOBS "\",\"do\":\"short\",\"after\":20000}", 2);
	healed(hooked, "body reset",
	       "{\"match\":\"" BLOBS "\",\"do\":\"reset-body\",\"after\":30000}", 2);
	healed(hooked, "body shorter than the range",
	       "{\"match\":\"" BLOBS "\",\"do\":\"short-clean\",\"after\":100}", 2);
	healed(hooked, "206 with half the range",
	       "{\"match\":\"" BLOBS "\",\"do\":\"short-range\"}", 2);
	healed(hooked, "stall before the head",
	       "{\"match\":\"" BLOBS "\",\"do\":\"stall\",\"seconds\":5}", 0);
	healed(hooked, "stall in the body",
	       "{\"match\":\"" BLOBS "\",\"do\":\"stall-body\",\"after\":7,\"seconds\":5}", 2);
	healed(hooked, "head that drips",
	       "{\"match\":\"" BLOBS "\",\"do\":\"slow-head\",\"interval\":0.1}", 0);
	healed(hooked, "wrong Content-Range",
	       "{\"match\":\"" BLOBS "\",\"do\":\"wrong-range\"}", 2);
	healed(hooked, "wrong total", "{\"match\":\"" BLOBS "\",\"do\":\"wrong-total\"}", 2);
	healed(hooked, "multipart", "{\"match\":\"" BLOBS "\",\"do\":\"multipart\"}", 2);
	healed(hooked, "Content-Encoding", "{\"match\":\"" BLOBS "\",\"do\":\"encoding\"}", 2);
	healed(hooked, "too long a body",
	       "{\"match\":\"" BLOBS "\",\"do\":\"long\",\"extra\":10}", 2);
	healed(hooked, "a header of 200 kB",
	       "{\"match\":\"" BLOBS "\",\"do\":\"big-head\",\"bytes\":200000}", 0);
	healed(hooked, "chunked", "{\"match\":\"" BLOBS "\",\"do\":\"chunked\"}", 1);
	healed(hooked, "200 and the whole blob",
	       "{\"match\":\"" BLOBS "\",\"do\":\"no-range\"}", 1);
}

/* --- a fault that stays -------------------------------------------------------------- */

static void stays(bool hooked, const char *name, const char *rule, int num, int kind,
		  int requests)
{
	begin(hooked, NULL);
	fault(rule);
	is_int(get(1000, 50000), -num, "%s: %s: fails", mode, name);
	is_int(got.err.kind, kind, "%s: %s: kind; %s", mode, name, got.err.text);
	ok(is_prefix(1000), "%s: %s: and nothing wrong came before", mode, name);
	is_int(got.ndone, 1, "%s: %s: one end", mode, name);
	if (requests)
		is_int(registry_count(&reg, BLOBS), requests, "%s: %s: requests", mode, name);
	end();
}

static void test_stays(bool hooked)
{
	stays(hooked, "500 for ever",
	      "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":500,\"times\":-1}", EIO,
	      ERR_NETWORK, 4);
	stays(hooked, "404", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":404,\"times\":-1}",
	      ENOENT, ERR_UNSUPPORTED, 1);
	stays(hooked, "403", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":403,\"times\":-1}",
	      EACCES, ERR_AUTH, 1);
	stays(hooked, "501", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":501,\"times\":-1}",
	      EPROTO, ERR_UNSUPPORTED, 1);
	stays(hooked, "416", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":416,\"times\":-1}",
	      EBADMSG, ERR_CORRUPT, 1);
	stays(hooked, "204", "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":204,\"times\":-1}",
	      EBADMSG, ERR_CORRUPT, 4);
	stays(hooked, "wrong range for ever",
	      "{\"match\":\"" BLOBS "\",\"do\":\"wrong-range\",\"times\":-1}", EBADMSG,
	      ERR_CORRUPT, 4);
	stays(hooked, "too long for ever",
	      "{\"match\":\"" BLOBS "\",\"do\":\"long\",\"times\":-1}", EBADMSG, ERR_CORRUPT, 4);
	stays(hooked, "401 without a challenge",
	      "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":401,\"times\":-1}", EPROTO,
	      ERR_AUTH, 1);
	stays(hooked, "Retry-After of an hour",
	      "{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":429,"
	      "\"headers\":{\"Retry-After\":\"3600\"},\"times\":-1}", EAGAIN, ERR_NETWORK, 1);
	stays(hooked, "redirect to a file",
	      "{\"match\":\"" BLOBS "\",\"do\":\"redirect\",\"location\":\"file:///etc/passwd\"}",
	      EPROTO, ERR_UNSUPPORTED, 1);
	stays(hooked, "redirect with credentials",
	      "{\"match\":\"" BLOBS "\",\"do\":\"redirect\",\"location\":\"http://a:b@localhost/\"}",
	      EPROTO, ERR_UNSUPPORTED, 1);
	stays(hooked, "redirect in a circle",
	      "{\"match\":\"" BLOBS "\",\"do\":\"redirect\",\"location\":\"/v2/r/blobs/x\","
	      "\"times\":-1}", EPROTO, ERR_UNSUPPORTED, 11);
}

/* A byte here and there: the stall time-out never strikes, the deadline does. */
static void test_slow_loris(bool hooked)
{
	uint64_t start;

	begin(hooked, NULL);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"slow\",\"interval\":0.05,\"times\":-1}");
	start = io_now_ms();
	is_int(lab_read(&lab, repo, &desc, 0, 50000, 700, &got), -ETIMEDOUT,
	       "%s: the deadline ends a read that drips", mode);
	ok(io_now_ms() - start < 2000, "%s: in time", mode);
	ok(is_prefix(0) && got.b.len > 0, "%s: what came was right", mode);
	end();
}

static void test_retry_after(bool hooked)
{
	uint64_t start;

	begin(hooked, NULL);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":429,"
	      "\"headers\":{\"Retry-After\":\"1\"}}");
	start = io_now_ms();
	get(0, 100);
	ok(is_right(0, 100), "%s: 429, then well", mode);
	ok(io_now_ms() - start >= 950, "%s: Retry-After was waited for", mode);
	end();
}

static void test_whole(bool hooked)
{
	struct oci_desc unknown;

	begin(hooked, NULL);
	get(0, UINT64_MAX);
	ok(is_right(0, UINT64_MAX), "%s: the whole blob", mode);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"short\",\"after\":70000}");
	get(0, UINT64_MAX);
	ok(is_right(0, UINT64_MAX), "%s: broken off, and resumed with a range", mode);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"short\",\"after\":70000}");
	fault("{\"match\":\"" BLOBS "\",\"do\":\"no-range\"}");
	get(0, UINT64_MAX);
	ok(is_right(0, UINT64_MAX), "%s: resumed, although ranges are not honoured", mode);
	unknown = desc;
	unknown.size = UINT64_MAX;
	lab_read(&lab, repo, &unknown, 0, UINT64_MAX, 20000, &got);
	ok(is_right(0, UINT64_MAX), "%s: a blob of unknown size", mode);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"short\",\"after\":70000}");
	lab_read(&lab, repo, &unknown, 0, UINT64_MAX, 20000, &got);
	ok(is_right(0, UINT64_MAX), "%s: a blob of unknown size, resumed", mode);
	unknown.size = desc.size - 1;
	is_int(lab_read(&lab, repo, &unknown, 0, UINT64_MAX, 20000, &got), -EBADMSG,
	       "%s: a blob larger than its descriptor says", mode);
	is_int(got.b.len, 0, "%s: of which nothing is delivered", mode);
	unknown.size = desc.size + 1;
	is_int(lab_read(&lab, repo, &unknown, 0, UINT64_MAX, 20000, &got), -EBADMSG,
	       "%s: a blob smaller than its descriptor says", mode);
	is_int(lab_read(&lab, repo, &desc, desc.size - 10, 11, 0, &got), -EINVAL,
	       "%s: a range past the end is our own bug", mode);
	get(desc.size - 10, 10);
	ok(is_right(desc.size - 10, 10), "%s: the last bytes", mode);
	end();
}

/* --- redirects ----------------------------------------------------------------------- */

static void test_redirect(bool hooked, const char *expired)
{
	char body[64];

	begin(hooked, NULL);
	snprintf(body, sizeof(body), "{\"redirect\": true, \"expired\": \"%s\"}", expired);
	registry_ctl(&reg, "set", body);
	get(0, 1000);
	ok(is_right(0, 1000), "%s: redirected to the storage", mode);
	get(5000, 1000);
	ok(is_right(5000, 1000), "%s: and again", mode);
	is_int(registry_count(&reg, BLOBS), 1, "%s: the final address was remembered", mode);
	registry_ctl(&reg, "revoke", "{}");
	get(9000, 1000);
	ok(is_right(9000, 1000), "%s: the address expired (%s) and was renewed %s", mode, expired,
	   got.err.text);
	is_int(registry_count(&reg, BLOBS), 2, "%s: with one more request", mode);
	fault("{\"match\":\"GET\",\"server\":\"storage\",\"do\":\"status\",\"status\":403,"
	      "\"times\":-1}");
	is_int(get(9000, 1000), -EACCES, "%s: a storage that always refuses", mode);
	is_int(registry_count(&reg, BLOBS), 3, "%s: is asked for one fresh address", mode);
	ok(!strstr(got.err.text, "sig="), "%s: no signature in: %s", mode, got.err.text);
	end();
}

/* The storage refuses any Authorization, as S3 does; the log would show it too. */
static void test_redirect_drops_auth(bool hooked)
{
	struct oci_opts opts = { .username = "user", .password = "secret" };

	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"redirect\": true, \"auth\": \"basic\"}");
	get(0, 1000);
	ok(is_right(0, 1000), "%s: no Authorization for another host %s", mode, got.err.text);
	ok(strstr(registry_ctl(&reg, "log", "{}"), "\"auth\": \"Basic\""),
	   "%s: but for the registry", mode);
	end();
}

/* --- authorization ------------------------------------------------------------------- */

static void test_bearer(bool hooked)
{
	struct oci_opts opts = { .username = "user", .password = "secret" };

	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\"}");
	get(0, 1000);
	ok(is_right(0, 1000), "%s: token %s", mode, got.err.text);
	get(1000, 1000);
	ok(is_right(1000, 1000), "%s: and again", mode);
	is_int(registry_count(&reg, "/token"), 1, "%s: one token for both", mode);
	is_int(registry_count(&reg, BLOBS), 3, "%s: one 401", mode);
	registry_ctl(&reg, "expire", "{}");
	get(2000, 1000);
	ok(is_right(2000, 1000), "%s: the token was revoked, and renewed", mode);
	is_int(registry_count(&reg, "/token"), 2, "%s: with one exchange", mode);
	registry_ctl(&reg, "set", "{\"token_ttl\": 1}");
	registry_ctl(&reg, "expire", "{}");
	get(0, 10);
	usleep(1100000);
	get(3000, 1000);
	ok(is_right(3000, 1000), "%s: the token expired", mode);
	is_int(registry_count(&reg, BLOBS), 8, "%s: and was renewed before it was refused", mode);
	end();
}

static void test_concurrent_401(bool hooked)
{
	struct oci_opts opts = { .username = "user", .password = "secret" };
	struct got many[6] = { 0 };
	bool right = true;

	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\"}");
	for (int i = 0; i < 6; i++)
		lab_start(repo, &desc, (uint64_t)i * 1000, 1000, 20000, &many[i]);
	for (int i = 0; i < 6; i++) {
		lab_wait(&lab, &many[i].done);
		right &= !many[i].err.num && many[i].b.len == 1000 &&
			 !memcmp(many[i].b.data, blob.data + i * 1000, 1000);
		got_reset(&many[i]);
	}
	ok(right, "%s: six reads at once", mode);
	is_int(registry_count(&reg, "/token"), 1, "%s: share one exchange", mode);
	end();
}

static void test_passwords(bool hooked)
{
	struct oci_opts wrong = { .username = "user", .password = "hush-hush" };
	static const char *const kinds[] = { "basic", "bearer" };
	char body[64];

	for (int i = 0; i < 2; i++) {
		snprintf(body, sizeof(body), "{\"auth\": \"%s\"}", kinds[i]);
		begin(hooked, &wrong);
		registry_ctl(&reg, "set", body);
		is_int(get(0, 10), -EACCES, "%s: %s: wrong password", mode, kinds[i]);
		ok(got.err.kind == ERR_AUTH && strstr(got.err.text, "password of user user") &&
		   strstr(got.err.text, "docker login 127.0.0.1"), "%s: says: %s", mode,
		   got.err.text);
		ok(!strstr(got.err.text, "hush"), "%s: not the password", mode);
		is_int(registry_count(&reg, i ? "/token" : BLOBS), i ? 1 : 2,
		       "%s: sent once", mode);
		end();
		begin(hooked, NULL);
		registry_ctl(&reg, "set", body);
		is_int(get(0, 10), -EACCES, "%s: %s: no password", mode, kinds[i]);
		ok(strstr(got.err.text, "wants a login"), "%s: says: %s", mode, got.err.text);
		end();
	}
	begin(hooked, NULL);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\", \"anonymous\": true}");
	get(0, 10);
	ok(is_right(0, 10), "%s: anonymous token", mode);
	end();
}

static void write_file(const char *path, const char *text, mode_t how)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, how);

	if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0)
		bail("%s", path);
	close(fd);
}

/* config.json with a plain entry, an identity token, and a helper. */
static void test_docker_config(bool hooked)
{
	char dir[] = "/tmp/oci-fault.XXXXXX", path[64], text[512], old[4096], env[4200];
	struct oci_opts opts = { .docker_config = dir };

	if (!mkdtemp(dir))
		bail("mkdtemp");
	snprintf(path, sizeof(path), "%s/config.json", dir);
	snprintf(text, sizeof(text), "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}",
		 reg.port);
	write_file(path, text, 0600);
	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"basic\"}");
	get(0, 10);
	ok(is_right(0, 10), "%s: password from config.json %s", mode, got.err.text);
	end();
	opts.docker_config = path;
	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"basic\"}");
	get(0, 10);
	ok(is_right(0, 10), "%s: and where the file itself is named %s", mode, got.err.text);
	end();
	opts.docker_config = dir;
	snprintf(text, sizeof(text), "{\"auths\":{\"http://127.0.0.1:%d/v2/\":"
		 "{\"identitytoken\":\"refresh-me\"}}}", reg.port);
	write_file(path, text, 0600);
	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\", \"identity_token\": \"refresh-me\"}");
	get(0, 10);
	ok(is_right(0, 10), "%s: identity token from config.json %s", mode, got.err.text);
	is_int(registry_count(&reg, "POST /token"), 1, "%s: was posted", mode);
	end();
	snprintf(text, sizeof(text), "{\"credHelpers\":{\"127.0.0.1:%d\":\"lz-test\"}}", reg.port);
	write_file(path, text, 0600);
	snprintf(text, sizeof(text), "%s/docker-credential-lz-test", dir);
	write_file(text, "#!/bin/sh\nread s\n[ \"$1\" = get ] || exit 1\n"
		   "echo \"{\\\"ServerURL\\\":\\\"$s\\\",\\\"Username\\\":\\\"user\\\","
		   "\\\"Secret\\\":\\\"secret\\\"}\"\n", 0755);
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	snprintf(env, sizeof(env), "%s:%s", dir, old);
	setenv("PATH", env, 1);
	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\"}");
	get(0, 10);
	ok(is_right(0, 10), "%s: password from a helper %s", mode, got.err.text);
	end();
	setenv("PATH", old, 1);
	unlink(text);
	unlink(path);
	rmdir(dir);
}

/* A token that has lost its force may also be told by a 403. */
static void test_403_renews(bool hooked)
{
	struct oci_opts opts = { .username = "user", .password = "secret" };

	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\"}");
	get(0, 10);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"status\",\"status\":403,"
	      "\"body\":\"{\\\"errors\\\":[{\\\"code\\\":\\\"DENIED\\\",\\\"message\\\":"
	      "\\\"authorization token has expired\\\"}]}\"}");
	get(100, 10);
	ok(is_right(100, 10), "%s: 403 with an old token gets a new one", mode);
	is_int(registry_count(&reg, "/token"), 2, "%s: by one exchange", mode);
	end();
}

static void test_bad_token_answers(bool hooked)
{
	static const char *const answers[] = {
		"", "{", "[]", "{\\\"token\\\": 3}", "{\\\"token\\\": \\\"a\\\\nb\\\"}", "{}",
	};
	char rule[300];

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		begin(hooked, NULL);
		registry_ctl(&reg, "set", "{\"auth\": \"bearer\", \"anonymous\": true}");
		snprintf(rule, sizeof(rule), "{\"match\":\"/token\",\"do\":\"status\","
			 "\"status\":200,\"body\":\"%s\"}", answers[i]);
		fault(rule);
		ok(get(0, 10) < 0 && got.err.kind == ERR_AUTH, "%s: token answer %s: %s", mode,
		   answers[i], got.err.text);
		end();
	}
	begin(hooked, NULL);
	registry_ctl(&reg, "set", "{\"auth\": \"bearer\", \"anonymous\": true}");
	fault("{\"match\":\"/token\",\"do\":\"status\",\"status\":503}");
	get(0, 10);
	ok(is_right(0, 10), "%s: 503 of the token service is retried", mode);
	end();
	begin(hooked, NULL);
	registry_ctl(&reg, "set",
		     "{\"auth\": \"bearer\", \"realm\": \"http://192.0.2.1/token\"}");
	ok(get(0, 10) < 0 && got.err.kind == ERR_AUTH,
	   "%s: no password over plain HTTP to a foreign realm: %s", mode, got.err.text);
	end();
}

/* --- mirrors ------------------------------------------------------------------------- */

static void test_mirror(bool hooked)
{
	struct registry mirror = registry_start("--content", "/nonexistent", NULL);
	char root[] = "/tmp/oci-hosts.XXXXXX", dir[128], path[160], text[300];
	struct oci_opts opts = { .hosts_dirs = root };

	if (!mkdtemp(root))
		bail("mkdtemp");
	snprintf(dir, sizeof(dir), "%s/127.0.0.1_%d_", root, reg.port);
	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/hosts.toml", dir);
	snprintf(text, sizeof(text), "server = \"http://127.0.0.1:%d\"\n\n"
		 "[host.\"http://127.0.0.1:1\"]\n"
		 "[host.\"http://127.0.0.1:%d\"]\ncapabilities = [\"pull\"]\n",
		 reg.port, mirror.port);
	write_file(path, text, 0600);
	begin(hooked, &opts);
	get(0, 1000);
	ok(is_right(0, 1000), "%s: a dead mirror, an empty mirror, then the registry %s", mode,
	   got.err.text);
	is_int(registry_count(&mirror, BLOBS ".*ns=127.0.0.1%3A"), 1,
	       "%s: the mirror was asked, and told for whom", mode);
	is_int(registry_count(&reg, BLOBS), 1, "%s: the registry once", mode);
	end();
	registry_stop(&mirror);
	mirror = registry_start("--content", tap_src("tests/fixtures/soci/layers"), NULL);
	snprintf(text, sizeof(text), "[host.\"http://127.0.0.1:%d\"]\n", mirror.port);
	write_file(path, text, 0600);
	begin(hooked, &opts);
	registry_ctl(&mirror, "fault", "{\"match\":\"" BLOBS "\",\"do\":\"no-range\"}");
	get(7000, 1000);
	ok(is_right(7000, 1000), "%s: a mirror that answers with the whole blob", mode);
	is_int(registry_count(&reg, BLOBS), 0, "%s: is good enough", mode);
	registry_ctl(&mirror, "fault", "{\"match\":\"" BLOBS "\",\"do\":\"short\","
		     "\"after\":5000}");
	get(7000, 20000);
	ok(is_right(7000, 20000), "%s: a mirror breaks off, the registry goes on", mode);
	ok(strstr(registry_ctl(&reg, "log", "{}"), "bytes=12000-26999"),
	   "%s: where it stopped", mode);
	end();
	registry_stop(&mirror);
	unlink(path);
	rmdir(dir);
	rmdir(root);
}

/* --- cancelling, pausing, freeing ---------------------------------------------------- */

static int cancel_self(struct got *g)
{
	if (g->req)
		oci_req_cancel(g->req);
	return 0;
}

static int cancel_other(struct got *g)
{
	struct got *other = g->hook_arg;

	if (other->req)
		oci_req_cancel(other->req);
	return 0;
}

static int refuse(struct got *g)
{
	(void)g;
	return -ENOSPC;
}

static int free_client(struct got *g)
{
	(void)g;
	oci_client_free(lab.c);
	return 0;
}

static int pause_self(struct got *g)
{
	if (g->req && !g->hook_arg) {
		g->hook_arg = g;
		oci_req_pause(g->req, true);
	}
	return 0;
}

static void test_cancel(bool hooked)
{
	struct got a = { 0 }, b = { 0 };
	struct oci_stats stats;

	begin(hooked, NULL);
	lab_start(repo, &desc, 0, 1000, 0, &a);
	oci_req_cancel(a.req);
	ok(a.done && a.err.num == ECANCELED, "%s: cancelled at once, before it began", mode);
	got_reset(&a);
	a.hook = cancel_self;
	lab_start(repo, &desc, 0, 100000, 0, &a);
	lab_wait(&lab, &a.done);
	is_int(a.err.num, ECANCELED, "%s: cancelled in its own data callback", mode);
	is_int(a.ndone, 1, "%s: ends once", mode);
	got_reset(&a);
	a.hook = cancel_other;
	a.hook_arg = &b;
	lab_start(repo, &desc, 0, 1000, 0, &a);
	lab_start(repo, &desc, 2000, 100000, 0, &b);
	lab_wait(&lab, &a.done);
	lab_wait(&lab, &b.done);
	is_int(a.err.num, 0, "%s: one read cancels the other, and ends well", mode);
	ok(b.ndone == 1, "%s: the other ended once, too", mode);
	got_reset(&a);
	got_reset(&b);
	a.hook = refuse;
	lab_start(repo, &desc, 0, 1000, 0, &a);
	lab_wait(&lab, &a.done);
	is_int(a.err.num, ENOSPC, "%s: the receiver's error is the read's", mode);
	oci_client_stats(lab.c, &stats);
	is_int(stats.retries, 0, "%s: and is not retried", mode);
	got_reset(&a);
	end();
}

static void test_pause(bool hooked)
{
	struct got a = { .hook = pause_self };
	size_t len;

	if (!hooked)
		return;
	begin(hooked, NULL);
	lab_start(repo, &desc, 0, UINT64_MAX, 0, &a);
	while (!a.hook_arg)
		loop_once(&lab.loop, lab.c, 1000);
	len = a.b.len;
	lab_spin(&lab, 900);
	ok(!a.done && a.b.len == len, "%s: paused longer than the stall time-out: nothing came", mode);
	oci_req_pause(a.req, false);
	lab_wait(&lab, &a.done);
	ok(!a.err.num && a.b.len == blob.len && !memcmp(a.b.data, blob.data, blob.len),
	   "%s: and then all the rest", mode);
	got_reset(&a);
	end();
}

static void test_free(bool hooked)
{
	struct got a = { 0 }, b = { 0 };

	begin(hooked, NULL);
	fault("{\"match\":\"" BLOBS "\",\"do\":\"stall\",\"seconds\":1,\"times\":-1}");
	lab_start(repo, &desc, 0, 1000, 0, &a);
	lab_start(repo, &desc, 0, 1000, 0, &b);
	if (hooked)
		lab_spin(&lab, 100);
	oci_repo_put(repo);
	lab_close(&lab);
	ok(a.ndone == 1 && a.err.num == ECANCELED && b.ndone == 1 && b.err.num == ECANCELED,
	   "%s: freeing the client ends its reads", mode);
	got_reset(&a);
	got_reset(&b);
	if (!hooked)
		return;
	begin(hooked, NULL);
	a.hook = free_client;
	lab_start(repo, &desc, 0, 1000, 0, &a);
	oci_repo_put(repo);
	while (!a.done)
		loop_once(&lab.loop, lab.c, 1000);
	is_int(a.err.num, ECANCELED, "%s: freed inside a data callback", mode);
	loop_done(&lab.loop);
	got_reset(&a);
}

/* Freed while a thread looks for credentials: its job comes back to nobody. */
static void test_free_during_job(bool hooked)
{
	struct oci_opts opts = { .docker_config = "/tmp" };
	struct got a = { 0 };

	if (!hooked)
		return;
	begin(hooked, &opts);
	registry_ctl(&reg, "set", "{\"auth\": \"basic\"}");
	lab_start(repo, &desc, 0, 1000, 0, &a);
	while (!lab.loop.njobs)
		loop_once(&lab.loop, lab.c, 1000);
	oci_repo_put(repo);
	lab_close(&lab);
	is_int(a.err.num, ECANCELED, "%s: freed while a job was out", mode);
	got_reset(&a);
}

static void test_many(bool hooked)
{
	static struct got many[100];
	bool right = true;
	struct oci_stats stats;

	begin(hooked, NULL);
	memset(many, 0, sizeof(many));
	for (int i = 0; i < 100; i++)
		lab_start(repo, &desc, (uint64_t)i * 500, 700, 20000, &many[i]);
	for (int i = 0; i < 100; i++) {
		lab_wait(&lab, &many[i].done);
		right &= !many[i].err.num && many[i].b.len == 700 &&
			 !memcmp(many[i].b.data, blob.data + i * 500, 700);
		got_reset(&many[i]);
	}
	ok(right, "%s: a hundred reads at once", mode);
	oci_client_stats(lab.c, &stats);
	ok(stats.requests >= 100 && stats.bytes == 70000 && stats.failures == 0,
	   "%s: are counted", mode);
	end();
}

static void test_layout(bool hooked)
{
	char dir[] = "/tmp/oci-layout.XXXXXX", path[200], hex[DIGEST_HEX_LEN + 1], file[200];
	struct oci_ref ref;
	struct err err = ERR_INIT;

	if (!mkdtemp(dir))
		bail("mkdtemp");
	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	io_mkdir_p(path, 0700);
	digest_format_hex(&desc.digest, hex);
	snprintf(file, sizeof(file), "%s/blobs/sha256/%s", dir, hex);
	io_write_file_atomic(AT_FDCWD, file, blob.data, blob.len, 0600);
	begin(hooked, NULL);
	oci_repo_put(repo);
	snprintf(path, sizeof(path), "oci:%s", dir);
	if (oci_ref_parse(path, &ref, &err) < 0 || oci_repo_get(lab.c, &ref, &repo, &err) < 0)
		bail("%s", err.text);
	get(3000, 300000);
	ok(is_right(3000, 300000), "%s: range from a layout %s", mode, got.err.text);
	get(0, UINT64_MAX);
	ok(is_right(0, UINT64_MAX), "%s: the whole blob from a layout", mode);
	got_reset(&got);
	got.hook = cancel_self;
	lab_start(repo, &desc, 0, UINT64_MAX, 0, &got);
	lab_wait(&lab, &got.done);
	is_int(got.err.num, ECANCELED, "%s: cancelled in its data callback", mode);
	if (truncate(file, 4000) < 0)
		bail("truncate");
	is_int(get(3000, 2000), -EBADMSG, "%s: a file shorter than the blob", mode);
	unlink(file);
	is_int(get(0, 10), -ENOENT, "%s: a blob that is not there: %s", mode, got.err.text);
	if (symlink("/etc/passwd", file) < 0)
		bail("symlink");
	is_int(get(0, 10), -EXDEV, "%s: a link out of the layout is not followed: %s", mode,
	       got.err.text);
	unlink(file);
	end();
	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/blobs", dir);
	rmdir(path);
	rmdir(dir);
}

static void run(bool hooked)
{
	test_healed(hooked);
	test_stays(hooked);
	test_slow_loris(hooked);
	test_retry_after(hooked);
	test_whole(hooked);
	test_redirect(hooked, "403");
	test_redirect(hooked, "400");
	test_redirect_drops_auth(hooked);
	test_bearer(hooked);
	test_concurrent_401(hooked);
	test_passwords(hooked);
	test_docker_config(hooked);
	test_403_renews(hooked);
	test_bad_token_answers(hooked);
	test_mirror(hooked);
	test_cancel(hooked);
	test_pause(hooked);
	test_free(hooked);
	test_free_during_job(hooked);
	test_many(hooked);
	test_layout(hooked);
}

int main(void)
{
	blob.max_bytes = 1 << 24;
	if (io_read_file(AT_FDCWD, tap_src("tests/fixtures/soci/layers/base.tar.gz"), &blob) < 0)
		bail("fixture");
	digest_of(blob.data, blob.len, &desc.digest);
	desc.size = blob.len;
	reg = registry_start("--content", tap_src("tests/fixtures/soci/layers"), NULL);
	run(HOOKED);
	registry_stop(&reg);
	buf_done(&blob);
	return tap_done();
}
