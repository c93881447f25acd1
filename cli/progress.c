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
	const struct oci_image *img;
	struct index_progress *layers;
	int *told;			/* piped: state of each layer that was printed */
	uint64_t start_ms;
	uint32_t drawn;			/* terminal: lines that stand there */
	bool on_terminal;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool end;
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

static bool is_over(int state)
{
	return state != INDEX_LAYER_WAITING && state != INDEX_LAYER_BUSY;
}

static void name_layer(const struct progress *p, uint32_t i, char ret[DIGEST_TEXT_SIZE])
{
	digest_format(&p->img->layers[i].desc.digest, ret);
	ret[19] = '\0';
}

/* Piped: what has come to its end since the last look. */
static void print_lines(struct progress *p)
{
	for (uint32_t i = 0; i < p->img->nlayers; i++) {
		int state = atomic_load(&p->layers[i].state);
		char name[DIGEST_TEXT_SIZE], size[24];

		if (p->told[i] == state || !is_over(state))
			continue;
		p->told[i] = state;
		name_layer(p, i, name);
		cli_format_size(p->img->layers[i].desc.size, size);
		fprintf(stderr, "layer %" PRIu32 "/%" PRIu32 "  %s  %s  %s\n", i + 1,
			p->img->nlayers, name, size, index_layer_state_name(state));
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

static void draw_layer(const struct progress *p, uint32_t i, int width)
{
	int state = atomic_load(&p->layers[i].state);
	uint64_t done = atomic_load(&p->layers[i].bytes);
	uint64_t total = p->img->layers[i].desc.size;
	char name[DIGEST_TEXT_SIZE], size[24], part[24];

	name_layer(p, i, name);
	cli_format_size(total, size);
	fprintf(stderr, "%s ", name);
	if (width >= 80)
		draw_bar(is_over(state) ? total : done, total);
	if (state == INDEX_LAYER_BUSY)
		fprintf(stderr, "%s of %s", cli_format_size(done, part), size);
	else
		fprintf(stderr, "%s %s", size, index_layer_state_name(state));
	fputs("\033[K\n", stderr);
}

static void draw_sum(const struct progress *p)
{
	uint64_t done = 0, total = 0, ms = io_now_ms() - p->start_ms;
	char a[24], b[24], rate[24];

	for (uint32_t i = 0; i < p->img->nlayers; i++) {
		int state = atomic_load(&p->layers[i].state);

		if (is_over(state) && state != INDEX_LAYER_BUILT)
			continue;
		done += atomic_load(&p->layers[i].bytes);
		total += p->img->layers[i].desc.size;
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

/* Busy layers and the sum; all layers where they fit. */
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
	for (uint32_t i = 0; i < p->img->nlayers && lines < room && !last; i++) {
		int state = atomic_load(&p->layers[i].state);

		if (p->img->nlayers > room && state != INDEX_LAYER_BUSY)
			continue;
		draw_layer(p, i, ws.ws_col);
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
	while (!p->end) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += DRAW_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
		if (p->end)
			break;
		if (p->on_terminal)
			draw(p, false);
		else
			print_lines(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct progress *progress_new(const struct oci_image *img)
{
	struct progress *p = calloc(1, sizeof(*p));
	uint32_t n = img->nlayers ? img->nlayers : 1;

	if (!p)
		return NULL;
	p->img = img;
	p->layers = calloc(n, sizeof(*p->layers));
	p->told = calloc(n, sizeof(*p->told));
	p->start_ms = io_now_ms();
	p->on_terminal = isatty(STDERR_FILENO);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (!p->layers || !p->told) {
		progress_free(p);
		return NULL;
	}
	/* Without it the work goes on unseen. */
	p->has_thread = pthread_create(&p->thread, NULL, draw_thread, p) == 0;
	return p;
}

struct index_progress *progress_layers(struct progress *p)
{
	return p->layers;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	if (p->has_thread) {
		pthread_join(p->thread, NULL);
		if (p->on_terminal)
			draw(p, true);
		else
			print_lines(p);
	}
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->layers);
	free(p->told);
	free(p);
}
