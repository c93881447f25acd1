/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * call_answer.c - judging what a host answers: is a range the range, is a body whole,
 * what does an error status mean. See call_priv.h.
 */
#include "oci/call_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oci/json.h"

void answer_where(const struct call *call, char *ret, size_t ret_size)
{
	char url[300];

	http_url_redact(call->url ? call->url : "", url, sizeof(url));
	snprintf(ret, ret_size, "%s %s", call->method, url);
}

static int corrupt(struct call *call, const char *what)
{
	char where[320];

	answer_where(call, where, sizeof(where));
	call->has_hope = true;
	return err_set(&call->err, ERR_CORRUPT, EBADMSG, "%s: %s", where, what);
}

void answer_too_long(struct call *call)
{
	call->is_judged = true;
	corrupt(call, "more bytes than the blob has");
}

/* 206: exactly the bytes that were asked for, of a blob of the right size. */
static int check_partial(struct call *call, const struct http_head *h)
{
	const struct call_spec *s = &call->spec;
	uint64_t first = s->off + call->delivered, want = call_want(call), last;

	if (!strncmp(h->content_type, "multipart/", 10))
		return corrupt(call, "several parts for a single range");
	if (h->range != HTTP_RANGE_OK)
		return corrupt(call, "206 without a valid Content-Range");
	if (want != UINT64_MAX)
		last = s->off + want - 1;
	else if (h->range_total != HTTP_UNKNOWN)
		last = h->range_total - 1;
	else
		return corrupt(call, "nobody says how long the blob is");
	if (h->range_first != first || h->range_last != last)
		return corrupt(call, "the Content-Range is not what was asked for");
	if (s->blob_size != UINT64_MAX && h->range_total != HTTP_UNKNOWN &&
	    h->range_total != s->blob_size)
		return corrupt(call, "the blob has another size than its descriptor says");
	if (h->length != HTTP_UNKNOWN && h->length != last - first + 1)
		return corrupt(call, "Content-Length and Content-Range disagree");
	call->body_skip = 0;
	call->body_left = last - first + 1;
	call->is_cut = false;
	return 0;
}

/* 200: the whole blob, of which we may want a part. */
static int check_whole(struct call *call, const struct http_head *h)
{
	const struct call_spec *s = &call->spec;
	uint64_t size = s->blob_size, want = call_want(call);

	if (h->length != HTTP_UNKNOWN && size != UINT64_MAX && h->length != size)
		return corrupt(call, "the blob has another size than its descriptor says");
	if (size == UINT64_MAX)
		size = h->length;	/* HTTP_UNKNOWN is the same number */
	if (want == UINT64_MAX && size != UINT64_MAX)
		want = size - s->off;
	if (size != UINT64_MAX && want > size - s->off)
		return corrupt(call, "the blob is shorter than it should be");
	call->body_skip = s->off + call->delivered;
	call->body_left = want == UINT64_MAX ? UINT64_MAX : want - call->delivered;
	call->is_cut = want != UINT64_MAX && (size == UINT64_MAX || s->off + want < size);
	return 0;
}

int answer_check(struct call *call, const struct http_head *h)
{
	call->body_skip = 0;
	call->body_left = UINT64_MAX;
	call->is_cut = false;
	if (h->is_encoded)
		return corrupt(call, "the content is encoded, although we asked it not to be");
	if (!call->spec.is_blob)
		return 0;
	if (h->status == 206)
		return check_partial(call, h);
	if (h->status == 200)
		return check_whole(call, h);
	return corrupt(call, "a success status that means nothing here");
}

int answer_check_end(struct call *call)
{
	char what[96];

	if (!call->spec.is_blob)
		return 0;
	if (call->body_skip || (call->body_left != UINT64_MAX && call->body_left)) {
		snprintf(what, sizeof(what), "the body is short by %" PRIu64 " bytes",
			 call->body_left == UINT64_MAX ? call->body_skip : call->body_left);
		return corrupt(call, what);
	}
	return 0;
}

/* " (CODE: message)" of the distribution error document, if it is one. */
static void error_detail(const struct call *call, char *ret, size_t ret_size)
{
	cleanup_json json_t *doc = NULL;
	const json_t *first;
	char code[64], message[160];

	ret[0] = 0;
	if (!call->error_body.len ||
	    jdoc_parse(call->error_body.data, call->error_body.len, "error", &doc, NULL) < 0)
		return;
	first = json_array_get(json_object_get(doc, "errors"), 0);
	if (!jdoc_str(first, "code"))
		return;
	jdoc_clean(jdoc_str(first, "code"), code, sizeof(code));
	jdoc_clean(jdoc_str(first, "message") ? jdoc_str(first, "message") : "", message,
		   sizeof(message));
	snprintf(ret, ret_size, " (%s: %s)", code, message);
}

static void set_forbidden(struct call *call, const char *where, const char *detail)
{
	const struct repo_host *h = call_host(call);

	if (call->hops || call->via_final)
		err_set(&call->err, ERR_AUTH, EACCES, "%s answers %d to an address that "
			"registry %s has just given%s", where, call->reply.status, h->name,
			detail);
	else
		err_set(&call->err, ERR_AUTH, EACCES, "%s answers %d: %s%s%s has no right to "
			"that in %s%s", where, call->reply.status,
			*h->auth.user ? "user " : "", *h->auth.user ? h->auth.user : "nobody",
			*h->auth.user ? "" : " (anonymous)", call->repo->ref.repo, detail);
}

void answer_set_error(struct call *call)
{
	int status = call->reply.status;
	char where[320], detail[240];

	answer_where(call, where, sizeof(where));
	error_detail(call, detail, sizeof(detail));
	call->has_hope = false;
	if (status == 408 || status == 425 || status == 429 ||
	    (status >= 500 && status != 501)) {
		call->has_hope = true;
		err_set(&call->err, ERR_NETWORK, status == 429 ? EAGAIN : EIO,
			"%s answers %d%s", where, status, detail);
	} else if (status == 401 || status == 403) {
		set_forbidden(call, where, detail);
	} else if (status == 404 || status == 410) {
		err_set(&call->err, ERR_UNSUPPORTED, ENOENT, "%s: not there (%d)%s", where,
			status, detail);
	} else if (status == 416 && call->spec.is_blob) {
		err_set(&call->err, ERR_CORRUPT, EBADMSG, "%s: the blob is shorter than its "
			"descriptor says (416)%s", where, detail);
	} else {
		err_set(&call->err, ERR_UNSUPPORTED, EPROTO, "%s answers %d%s", where, status,
			detail);
	}
}
