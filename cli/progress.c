/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.c - see progress.h. */
#include "cli/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"

#define DRAW_MS 150
#define BAR_CELLS 20u

struct progress {
	struct index_watch watch;
	const char *what;
	/* Between begin and end: */
	const struct index_progress *v;
	uint32_t n;
	int *told;			/* piped: state of each that was printed */
	uint64_t start_ms;
	uint32_t drawn;			/* terminal: lines that stand there */
	bool on_terminal;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_over;
};

/* --- ^C ---------------------------------------------------------------------------- */

static atomic_bool stop;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

const atomic_bool *cli_stop_flag(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND }, old;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		/* Stays ignored where it was: nohup, background jobs of scripts. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	return &stop;
}

/* --- drawing ----------------------------------------------------------------------- */

static void name_of(const struct index_progress *i, char ret[DIGEST_TEXT_SIZE])
{
	const char *base = i->name ? strrchr(i->name, '/') : NULL;

	if (i->name) {
		snprintf(ret, DIGEST_TEXT_SIZE, "%.40s", base ? base + 1 : i->name);
		return;
	}
	digest_format(&i->digest, ret);
	ret[19] = '\0';
}

/* Piped: what has come to its end since the last look. */
static void print_lines(struct progress *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		int state = atomic_load(&p->v[i].state);
		char name[DIGEST_TEXT_SIZE], size[24];

		if (p->told[i] == state || !index_state_is_end(state))
			continue;
		p->told[i] = state;
		name_of(&p->v[i], name);
		cli_format_size(p->v[i].size, size);
		fprintf(stderr, "%s %" PRIu32 "/%" PRIu32 "  %s  %s  %s\n", p->what, i + 1, p->n,
			name, size, index_state_name((enum index_state)state));
	}
}

static void draw_bar(uint64_t done, uint64_t total)
{
	unsigned cells = total ? (unsigned)((double)done / (double)total * BAR_CELLS) : 0;

	if (cells > BAR_CELLS)
		cells = BAR_CELLS;
	fputc('[', stderr);
	for (unsigned i = 0; i < BAR_CELLS; i++)
		fputc(i < cells ? '#' : '.', stderr);
	fputs("] ", stderr);
}

static bool is_at_work(int state)
{
	return state == INDEX_INDEXING || state == INDEX_COPYING;
}

static void draw_one(const struct index_progress *i, int width)
{
	int state = atomic_load(&i->state);
	uint64_t done = atomic_load(&i->bytes);
	char name[DIGEST_TEXT_SIZE], size[24], part[24];

	name_of(i, name);
	cli_format_size(i->size, size);
	cli_print_bytes(stderr, name, strlen(name));
	fputc(' ', stderr);
	if (width >= 80)
		draw_bar(index_state_is_end(state) ? i->size : done, i->size);
	if (is_at_work(state))
		fprintf(stderr, "%s of %s", cli_format_size(done, part), size);
	else
		fprintf(stderr, "%s %s", size, index_state_name((enum index_state)state));
	fputs("\033[K\n", stderr);
}

static void draw_sum(const struct progress *p)
{
	uint64_t done = 0, total = 0, ms = io_now_ms() - p->start_ms;
	char a[24], b[24], rate[24];

	for (uint32_t i = 0; i < p->n; i++) {
		int state = atomic_load(&p->v[i].state);
		uint64_t bytes = atomic_load(&p->v[i].bytes);

		/* What needed no work does not count for the rate. */
		if (index_state_is_end(state) && !bytes)
			continue;
		done += bytes;
		total += p->v[i].size;
	}
	if (done > total)
		done = total;
	cli_format_size(ms ? done * 1000 / ms : 0, rate);
	fprintf(stderr, "%s of %s, %s/s", cli_format_size(done, a), cli_format_size(total, b),
		rate);
	if (done && ms > 1000 && done < total)
		fprintf(stderr, ", %.0f s left",
			(double)(total - done) * (double)ms / (double)done / 1000 + 0.5);
	fputs("\033[K\n", stderr);
}

/* All where they fit, else those that are worked on; and the sum. */
static void draw(struct progress *p, bool last)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	uint32_t lines = 0, room;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_row < 3)
		ws.ws_row = 24;
	room = ws.ws_row - 2u;
	if (p->drawn)
		fprintf(stderr, "\033[%" PRIu32 "A", p->drawn);
	fputs("\033[J", stderr);
	for (uint32_t i = 0; i < p->n && lines < room && !last; i++) {
		if (p->n > room && !is_at_work(atomic_load(&p->v[i].state)))
			continue;
		draw_one(&p->v[i], ws.ws_col);
		lines++;
	}
	if (!last) {
		draw_sum(p);
		lines++;
	}
	p->drawn = lines;
	fflush(stderr);
}

static void *draw_thread(void *arg)
{
	struct progress *p = arg;
	struct timespec until;

	pthread_mutex_lock(&p->lock);
	while (!p->is_over) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += DRAW_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
		if (p->is_over)
			break;
		if (p->on_terminal)
			draw(p, false);
		else
			print_lines(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* --- life -------------------------------------------------------------------------- */

/* Where there is no memory or no thread for it, the work goes on unseen. */
static void begin(void *arg, const struct index_progress *v, uint32_t n)
{
	struct progress *p = arg;

	p->told = calloc(n ? n : 1, sizeof(*p->told));
	if (!p->told)
		return;
	p->v = v;
	p->n = n;
	p->start_ms = io_now_ms();
	p->is_over = false;
	p->has_thread = pthread_create(&p->thread, NULL, draw_thread, p) == 0;
}

static void end(void *arg)
{
	struct progress *p = arg;

	pthread_mutex_lock(&p->lock);
	p->is_over = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	if (p->has_thread) {
		pthread_join(p->thread, NULL);
		if (p->on_terminal)
			draw(p, true);
		else
			print_lines(p);
	}
	p->has_thread = false;
	p->n = 0;
	free(p->told);
	p->told = NULL;
}

struct progress *progress_new(const char *what)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->what = what;
	p->watch = (struct index_watch){ begin, end, p };
	p->on_terminal = isatty(STDERR_FILENO);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	return p;
}

const struct index_watch *progress_watch(struct progress *p)
{
	return p ? &p->watch : NULL;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
