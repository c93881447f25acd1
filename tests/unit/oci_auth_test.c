/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_auth_test.c - challenges, Basic headers, token answers, docker's config.json. */
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "oci/creds.h"
#include "oci/token.h"

static void good(const char *field, bool basic, const char *realm, const char *service,
		 const char *scope)
{
	struct auth_challenge ch;

	if (!ok(auth_parse(field, &ch) == 0, "%s", field))
		return;
	is_int(ch.has_basic, basic, "Basic?");
	is_int(ch.has_bearer, realm != NULL, "Bearer?");
	is_str(ch.realm, realm ? realm : "", "realm");
	is_str(ch.service, service, "service");
	is_str(ch.scope, scope, "scope");
}

static void bad(const char *field)
{
	struct auth_challenge ch;

	is_int(auth_parse(field, &ch), -EINVAL, "refused: %.60s", field);
}

static void test_challenges(void)
{
	static char big[9000];

	good("Basic realm=\"x\"", true, NULL, "", "");
	good("basic", true, NULL, "", "");
	good("Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"", false,
	     "https://a/t", "s", "repository:a:pull,push");
	good("bearer   realm=\"https://a/t\" , service=s", false, "https://a/t", "s", "");
	good("Bearer realm=\"a\\\"b\\\\\"", false, "a\"b\\", "", "");
	good("Basic realm=\"a, Bearer realm=b\", Bearer realm=\"r\"", true, "r", "", "");
	good("Bearer realm=\"r\", Basic", true, "r", "", "");
	good("Negotiate abc/d==, Bearer realm=\"r\"", false, "r", "", "");
	good("Negotiate, NTLM, Basic realm=x", true, NULL, "", "");
	good("Digest realm=\"d\", nonce=\"n\", Bearer REALM=\"r\"", false, "r", "", "");
	good("Bearer realm=\"first\", Bearer realm=\"second\"", false, "first", "", "");
	good(", ,Basic,,", true, NULL, "", "");
	bad("Bearer realm=\"open");
	bad("Bearer realm=\"a\nb\"");
	bad("Bearer realm=\"a\\");
	bad("Bearer realm=\"a\" b=");
	bad("=");
	bad("\"x\"");
	bad("Bearer realm=\"a\", realm=\"b\"");
	bad("Bearer realm=\"a\";x");
	memset(big, 'a', sizeof(big) - 1);
	memcpy(big, "Bearer realm=\"", 14);
	bad(big);
}

static void test_base64(void)
{
	static const char *const text[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "user:secret", "dXNlcjpzZWNyZXQ=" },
	};

	for (size_t i = 0; i < 5; i++) {
		struct buf e = BUF_INIT(64), d = BUF_INIT(64);

		auth_base64_encode(text[i][0], strlen(text[i][0]), &e);
		is_str(e.data ? (char *)e.data : "", text[i][1], "encode %s", text[i][0]);
		is_int(auth_base64_decode(text[i][1], &d), 0, "decode it");
		is_str(d.data ? (char *)d.data : "", text[i][0], "and back");
		buf_done(&e);
		buf_done(&d);
	}
	struct buf d = BUF_INIT(64);

	is_int(auth_base64_decode("Zg=\n", &d), -EINVAL, "white space");
	is_int(auth_base64_decode("Zm9vZ", &d), -EINVAL, "a lone character");
	is_int(auth_basic_header("a:b", "c", &d), -EINVAL, "a ':' in the user name");
	buf_done(&d);
}

static void token(const char *text, const char *want, uint64_t want_life)
{
	struct err err = ERR_INIT;
	char *header = NULL;
	uint64_t life = 0;
	int r = token_parse(text, strlen(text), "here", &header, &life, &err);

	if (want) {
		is_str(header, want, "%s", text);
		is_int(life, want_life, "for so long");
	} else {
		ok(r < 0 && !header, "refused: %s: %s", text, err.text);
	}
	free(header);
}

static void test_tokens(void)
{
	token("{\"token\":\"abc\"}", "Authorization: Bearer abc", 60);
	token("{\"access_token\":\"abc\",\"expires_in\":300}", "Authorization: Bearer abc", 300);
	token("{\"token\":\"a\",\"access_token\":\"b\",\"expires_in\":-5}",
	      "Authorization: Bearer a", 60);
	token("{\"token\":\"a\",\"expires_in\":0}", "Authorization: Bearer a", 60);
	token("{\"token\":\"a\",\"expires_in\":99999999999}", "Authorization: Bearer a", 60);
	token("{}", NULL, 0);
	token("{\"token\":\"\"}", NULL, 0);
	token("{\"token\":5}", NULL, 0);
	token("{\"token\":\"a\\r\\nX: y\"}", NULL, 0);
	token("{\"token\":\"a b\"}", NULL, 0);
	token("{\"token\":\"a\",\"token\":\"b\"}", NULL, 0);
	token("[1]", NULL, 0);
	token("", NULL, 0);
}

static void config(const char *text, const char *host, const char *user,
		   const char *password, const char *identity, const char *helper)
{
	struct err err = ERR_INIT;
	struct creds c = { 0 };
	char name[64];

	if (!ok(creds_from_config(text, strlen(text), host, &c, name, &err) == 0, "%s in %s %s",
		host, text, err.text))
		return;
	is_str(c.user ? c.user : "", user, "user");
	is_str(c.password ? c.password : "", password, "password");
	is_str(c.identity_token ? c.identity_token : "", identity, "identity token");
	is_str(name, helper, "helper");
	creds_done(&c);
}

static void test_config(void)
{
	static const char *const wrong[] = {
		"", "[]", "{\"auths\":{\"h\":{\"auth\":\"!!\"}}}",
		"{\"auths\":{\"h\":{\"auth\":\"bm9jb2xvbg==\"}}}",
		"{\"credsStore\":\"../../bin/sh\"}", "{\"credsStore\":\"a b\"}",
		"{\"credHelpers\":{\"h\":\"-x\"}}",
	};
	struct err err = ERR_INIT;
	struct creds c = { 0 };
	char name[64];

	config("{}", "h", "", "", "", "");
	config("{\"auths\":{\"h\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", "h", "user", "secret", "",
	       "");
	config("{\"auths\":{\"https://h/v1/\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", "h", "user",
	       "secret", "", "");
	config("{\"auths\":{\"https://h/repo\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", "h", "", "",
	       "", "");
	config("{\"auths\":{\"h.evil\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", "h", "", "", "", "");
	config("{\"auths\":{\"h:5000\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", "h", "", "", "", "");
	config("{\"auths\":{\"https://index.docker.io/v1/\":{\"username\":\"u\",\"password\":"
	       "\"p\"}}}", "docker.io", "u", "p", "", "");
	config("{\"auths\":{\"h\":{\"identitytoken\":\"t\",\"auth\":\"dXNlcjo=\"}}}", "h", "", "",
	       "t", "");
	config("{\"auths\":{\"h\":{}},\"credsStore\":\"desktop\"}", "h", "", "", "", "desktop");
	config("{\"credHelpers\":{\"h\":\"ecr-login\"},\"credsStore\":\"desktop\"}", "h", "", "",
	       "", "ecr-login");
	config("{\"credHelpers\":{\"x\":\"ecr-login\"},\"credsStore\":\"desktop\"}", "h", "", "",
	       "", "desktop");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(creds_from_config(wrong[i], strlen(wrong[i]), "h", &c, name, &err) < 0,
		   "refused: %s: %s", wrong[i], err.text);
}

static void helper(const char *script, uint32_t timeout_ms, int want, const char *user,
		   const char *what)
{
	char dir[] = "/tmp/oci-helper.XXXXXX", path[100], env[4200], old[4096];
	struct err err = ERR_INIT;
	struct creds c = { 0 };
	uint64_t start = io_now_ms();
	int fd;

	if (!mkdtemp(dir))
		bail("mkdtemp");
	snprintf(path, sizeof(path), "%s/docker-credential-t", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0755);
	io_write_full(fd, script, strlen(script));
	close(fd);
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	snprintf(env, sizeof(env), "%s:%s", dir, old);
	setenv("PATH", env, 1);
	is_int(creds_from_helper("t", "docker.io", timeout_ms, &c, &err), want, "helper %s %s",
	       what, err.text);
	is_str(c.user ? c.user : c.identity_token ? c.identity_token : "", user, "its user");
	ok(io_now_ms() - start < 5000, "in time");
	ok(!strstr(err.text, "hush"), "no secret in the message");
	creds_done(&c);
	setenv("PATH", old, 1);
	unlink(path);
	rmdir(dir);
}

static void test_helpers(void)
{
	helper("#!/bin/sh\nread k\necho '{\"Username\":\"'$1-$k'\",\"Secret\":\"s\"}'\n", 5000, 0,
	       "get-https://index.docker.io/v1/", "is told get and the key");
	helper("#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"tok\"}'\n", 5000, 0, "tok",
	       "with an identity token");
	helper("#!/bin/sh\necho credentials not found in native keychain\nexit 1\n", 5000, 0, "",
	       "without an entry");
	helper("#!/bin/sh\necho hush\nexit 3\n", 5000, -EACCES, "", "that fails");
	helper("#!/bin/sh\necho '{\"Username\":\"u\",\"Secr'\n", 5000, -EINVAL, "", "of half JSON");
	helper("#!/bin/sh\nsleep 30 &\nsleep 30\n", 300, -ETIMEDOUT, "", "that hangs");
	helper("#!/bin/sh\nexec yes hush\n", 5000, -EFBIG, "", "that never stops talking");
	helper("#!/nonexistent\n", 1000, -ENOENT, "", "that cannot run");
}

int main(void)
{
	test_challenges();
	test_base64();
	test_tokens();
	test_config();
	test_helpers();
	return tap_done();
}
