/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop on the running kernel: readiness, stale completions, timers, mail, writes. */
#include "daemon/loop/loop.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "tests/unit/tap.h"

static struct loop *l;
static struct err e = ERR_INIT;

static void turns(int n)
{
	for (int i = 0; i < n; i++)
		if (loop_turn(l, 0, &e) < 0)
			bail("%s", e.text);
}

/* Turn until *v reaches want; the limit is for a hang only. */
static bool until(const int *v, int want)
{
	uint64_t end = io_now_ms() + 10000;

	while (*v < want && io_now_ms() < end)
		if (loop_turn(l, 1000, &e) < 0)
			bail("%s", e.text);
	return *v == want;
}

struct probe {
	struct loop_watch w;
	int calls, read_each;
	uint32_t revents;
	bool delete_self;
	struct probe *kill;
};

static void probe_ready(struct loop_watch *w, uint32_t revents)
{
	struct probe *p = container_of(w, struct probe, w);
	char c;

	p->calls++;
	p->revents = revents;
	for (int i = 0; i < p->read_each; i++)
		if (read(w->fd, &c, 1) <= 0)
			break;
	if (p->kill)
		loop_watch_del(&p->kill->w);
	if (p->delete_self)
		loop_watch_del(w);
}

static struct probe probe(int fd, uint32_t events, int read_each)
{
	return (struct probe){
		.w = { .ready = probe_ready, .fd = fd, .events = events },
		.read_each = read_each,
	};
}

static void make_pipe(int fd[2])
{
	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) < 0)
		bail("pipe: %s", strerror(errno));
}

static void put(int fd, const char *s)
{
	if (write(fd, s, strlen(s)) != (ssize_t)strlen(s))
		bail("write");
}

static void test_level(void)
{
	int fd[2];

	make_pipe(fd);
	struct probe p = probe(fd[0], POLLIN, 1);

	loop_watch_add(l, &p.w);
	turns(3);
	is_int(p.calls, 0, "an idle descriptor is not ready");
	put(fd[1], "abc");
	ok(until(&p.calls, 3), "a descriptor that is not drained is reported again");
	turns(3);
	is_int(p.calls, 3, "and no more once it is drained");
	close(fd[1]);
	until(&p.calls, 4);
	ok(p.revents & POLLHUP, "the end of the other side is reported");
	loop_watch_del(&p.w);
	int calls = p.calls;

	turns(3);
	is_int(p.calls, calls, "a deleted watch is silent");
	close(fd[0]);
}

static void test_multishot(void)
{
	int fd[2];

	make_pipe(fd);
	struct probe p = probe(fd[0], POLLIN, 100);

	p.w.multishot = true;
	loop_watch_add(l, &p.w);
	turns(2);
	for (int i = 1; i <= 50; i++) {
		put(fd[1], "xy");
		if (!until(&p.calls, i))
			break;
	}
	is_int(p.calls, 50, "a multishot watch goes on reporting");
	loop_watch_del(&p.w);
	put(fd[1], "z");
	turns(3);
	is_int(p.calls, 50, "and is silent when deleted");
	close(fd[0]);
	close(fd[1]);
}

static void test_change(void)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		bail("socketpair");
	struct probe p = probe(fd[0], POLLIN, 0);

	loop_watch_add(l, &p.w);
	turns(2);
	is_int(p.calls, 0, "no input, no call");
	loop_watch_set(&p.w, POLLOUT);
	ok(until(&p.calls, 1) && p.revents == POLLOUT, "changed to POLLOUT: ready at once");
	loop_watch_set(&p.w, POLLIN);
	turns(4);
	int calls = p.calls;

	turns(4);
	is_int(p.calls, calls, "changed back: silent again");
	loop_watch_del(&p.w);
	close(fd[0]);
	close(fd[1]);
}

/* Two descriptors ready in the same turn: the first callback deletes the other watch. */
static void test_delete_race(void)
{
	int a[2], b[2];

	make_pipe(a);
	make_pipe(b);
	struct probe pa = probe(a[0], POLLIN, 1), pb = probe(b[0], POLLIN, 1);

	pa.kill = &pb;
	pb.kill = &pa;
	loop_watch_add(l, &pa.w);
	loop_watch_add(l, &pb.w);
	turns(2);
	put(a[1], "1");
	put(b[1], "1");
	turns(5);
	is_int(pa.calls + pb.calls, 1, "a watch deleted while its completion waits is not called");
	loop_watch_del(&pa.w);
	loop_watch_del(&pb.w);

	/* The slot, and the descriptor number, are used again before the poll is removed. */
	struct probe old = probe(a[0], POLLIN, 1), neu = probe(b[0], POLLIN, 1);

	while (read(a[0], (char[1]){ 0 }, 1) > 0 || read(b[0], (char[1]){ 0 }, 1) > 0)
		;
	loop_watch_add(l, &old.w);
	turns(2);
	put(a[1], "1");
	loop_watch_del(&old.w);
	loop_watch_add(l, &neu.w);
	turns(5);
	is_int(old.calls, 0, "deleted before its turn: never called");
	is_int(neu.calls, 0, "the completion of the old watch does not reach the new one");
	put(b[1], "1");
	ok(until(&neu.calls, 1), "the new one works");
	neu.delete_self = true;
	put(b[1], "1");
	until(&neu.calls, 2);
	put(b[1], "1");
	turns(3);
	is_int(neu.calls, 2, "a watch may delete itself");
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void test_many(void)
{
	enum { N = 600 };	/* more than the ring has entries */
	static struct probe p[N];
	static int fd[N][2];
	struct rlimit nofile;
	int total = 0;

	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0 && nofile.rlim_cur < 2 * N + 64) {
		nofile.rlim_cur = nofile.rlim_max;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	for (int i = 0; i < N; i++) {
		make_pipe(fd[i]);
		p[i] = probe(fd[i][0], POLLIN, 1);
		loop_watch_add(l, &p[i].w);
	}
	for (int i = 0; i < N; i++)
		put(fd[i][1], "x");
	for (int k = 0; k < 200 && total < N; k++) {
		turns(1);
		total = 0;
		for (int i = 0; i < N; i++)
			total += p[i].calls;
	}
	is_int(total, N, "more watches than ring entries");
	for (int i = 0; i < N; i++)
		loop_watch_del(&p[i].w);
	for (int i = 0; i < N; i++) {
		close(fd[i][0]);
		close(fd[i][1]);
	}
	turns(10);
}

static void test_bad_fd(void)
{
	struct probe p = probe(1 << 20, POLLIN, 0);

	loop_watch_add(l, &p.w);
	until(&p.calls, 1);
	turns(5);
	is_int(p.calls, 1, "a descriptor that cannot be polled is reported once");
	ok(p.revents & POLLNVAL, "as invalid");
	loop_watch_del(&p.w);
}

static int fired[4], nfired;

static void t_fired(struct loop_timer *t)
{
	fired[nfired++] = (int)t->at_ms & 3;
}

static void test_timers(void)
{
	struct loop_timer a = { .fired = t_fired }, b = a, c = a;
	uint64_t base = (io_now_ms() + 20) & ~3ull;

	loop_timer_set(l, &a, base + 4 * 3 + 2);
	loop_timer_set(l, &b, base + 1);
	loop_timer_set(l, &c, base + 8);
	loop_timer_del(&c);
	loop_timer_set(l, &a, base + 4 * 2 + 3);
	ok(until(&nfired, 2), "timers fire");
	ok(fired[0] == 1 && fired[1] == 3, "in order, at the time set last");
	ok(io_now_ms() >= base + 11, "not before their time");
	turns(3);
	is_int(nfired, 2, "once, and a deleted one never");
}

static int mails, mail_order_bad;
static struct mail {
	struct loop_task t;
	int thread, n;
} mail[4][1000];

static void mail_run(struct loop_task *t)
{
	static int last[4] = { -1, -1, -1, -1 };
	struct mail *m = container_of(t, struct mail, t);

	if (last[m->thread] + 1 != m->n)
		mail_order_bad++;
	last[m->thread] = m->n;
	mails++;
}

static void *poster(void *arg)
{
	struct mail *m = arg;

	for (int i = 0; i < 1000; i++)
		loop_post(l, &m[i].t);
	return NULL;
}

static void test_mail(void)
{
	pthread_t th[4];

	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 1000; k++)
			mail[i][k] = (struct mail){ { .run = mail_run }, i, k };
		pthread_create(&th[i], NULL, poster, mail[i]);
	}
	ok(until(&mails, 4000), "all mail of four threads arrives");
	is_int(mail_order_bad, 0, "in each thread's order");
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
}

static void stop_on_signal(int sig)
{
	(void)sig;
	loop_stop(l);
}

static void raise_fired(struct loop_timer *t)
{
	(void)t;
	raise(SIGUSR1);
}

static void test_stop(void)
{
	struct loop_timer t = { .fired = raise_fired };

	signal(SIGUSR1, stop_on_signal);
	loop_timer_set(l, &t, io_now_ms() + 5);
	is_int(loop_run(l, &e), 0, "loop_stop() from a signal handler ends loop_run()");
	loop_stop(l);
	is_int(loop_run(l, &e), 0, "stopped before it runs: returns at once");
}

static int writes_done, writes_bad;

static void write_done(void *arg, int res)
{
	writes_done++;
	if (res != (int)(intptr_t)arg)
		writes_bad++;
}

static void test_writes(void)
{
	int fd[2];
	char buf[8];
	int n = 0;
	uint64_t sum = 0;

	make_pipe(fd);
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t v = i;

		if (loop_write(l, fd[1], &v, sizeof(v), write_done, (void *)8) < 0)
			bail("loop_write");
	}
	ok(until(&writes_done, 1000), "a thousand writes in one turn all complete");
	is_int(writes_bad, 0, "each whole");
	while (read(fd[0], buf, 8) == 8) {
		uint64_t v;

		memcpy(&v, buf, 8);
		sum += v;
		n++;
	}
	ok(n == 1000 && sum == 1000 * 999 / 2, "each exactly once");
	loop_write(l, fd[0], "x", 1, write_done, (void *)(intptr_t)-EBADF);
	until(&writes_done, 1001);
	is_int(writes_bad, 0, "an error reaches its callback");
	is_int(loop_write(l, fd[1], buf, LOOP_WRITE_MAX + 1, NULL, NULL), -EINVAL,
	       "too long a write is refused");
	loop_write(l, fd[1], "last", 4, NULL, NULL);
	loop_free(l);
	ok(read(fd[0], buf, 8) == 4, "a queued write goes out when the loop is freed");
	l = NULL;
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	alarm(120);	/* a test that hangs is killed */
	if (loop_new(&l, &e) < 0) {
		printf("1..0 # SKIP %s\n", e.text);
		return 0;
	}
	test_level();
	test_multishot();
	test_change();
	test_delete_race();
	test_many();
	test_bad_fd();
	test_timers();
	test_mail();
	test_stop();
	test_writes();
	return tap_done();
}
