# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests that run the whole daemon on this machine's kernel: directories, TAP
# lines, a registry, and everything taken away at the end.
#
#   $W   working directory on a real file system: cache/ mnt/ trees, layout, log
#   $R   run directory (short: it holds sockets)
set -u
[ "$(id -u)" = 0 ] || { echo "needs root: it mounts"; exit 77; }
: "${BUILDDIR:?}" "${SRCDIR:?}"
tools=$SRCDIR/tests/tools
tests=0 failures=0 daemon_pid= registry_pid=

W=$(mktemp -d "$BUILDDIR/real-test.XXXXXX")
R=$(mktemp -d /run/lzr.XXXXXX)
mkdir -p "$W/mnt" "$W/mnt2" "$W/registry"
: >"$W/log"

cli() { timeout "${CLI_TIMEOUT:-60}" "$BUILDDIR/lazyerofs" --run-dir "$R" "$@"; }
status() { cli status --json | jq -r "$1"; }

cleanup() {
	trap - EXIT INT TERM
	for dir in $(awk -v w="$W/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | tac); do
		umount -l "$dir" 2>/dev/null
	done
	[ -z "$daemon_pid" ] || kill -9 "$daemon_pid" 2>/dev/null
	[ ! -s "$R/guardian.lock" ] || kill -9 "$(cat "$R/guardian.lock")" 2>/dev/null
	[ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null
	for dir in "$R"/cache*; do umount -l "$dir" 2>/dev/null; done
	[ "${KEEP:-}" ] || rm -rf --one-file-system "$W" "$R"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { # STATUS TEXT
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		tail -n 8 "$W/log" | sed 's/^/#   /'
	fi
}
is() { # GOT WANT TEXT
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || echo "#   got '$1', want '$2'"
}
says() { # PATTERN TEXT COMMAND...: fails with exactly one line that matches
	local pattern=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1 >/dev/null)
	rc=$?
	[ $rc -ne 0 ] && [ $rc -ne 124 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] &&
		printf '%s\n' "$out" | grep -qE "$pattern"
	ok $? "$text"
	[ $rc -ne 0 ] && printf '%s\n' "$out" | grep -qE "$pattern" || echo "#   exit $rc: $out"
}
finish() {
	echo "1..$tests"
	[ $failures -eq 0 ]
	exit
}
wait_for() { # SECONDS COMMAND...
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.05
	done
}

start_daemon() {
	"$BUILDDIR/lazyerofsd" --config "$W/conf" >>"$W/log" 2>&1 &
	daemon_pid=$!
	cli status --wait 30 >/dev/null && return
	grep -q 'offers no way to serve' "$W/log" && { echo "no kernel path here"; exit 77; }
	cat "$W/log"
	exit 1
}
# Until it has ended; the shell reaps it.
stop_daemon() { # SIGNAL
	kill "-$1" "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_rc=$?
	daemon_pid=
}
config() { # LINE...: settings over those of all tests
	{
		printf 'dir %s\nrun_dir %s\nkernel_path fanotify\nbackground off\n' "$W/cache" "$R"
		printf '%s\n' "$@"
	} >"$W/conf"
}
# Two folders of a few MB, for make-layout.
make_trees() {
	mkdir -p "$W/t1/usr/share" "$W/t2/app/dir"
	cp -a /usr/lib/python3*/json /usr/lib/python3*/asyncio "$W/t1/usr/share/"
	head -c 9000000 /dev/urandom >"$W/t2/app/random"
	seq 1 500000 >"$W/t2/app/seq"
	ln "$W/t2/app/seq" "$W/t2/app/link"
	ln -s seq "$W/t2/app/symlink"
	: >"$W/t2/app/empty"
	seq 1 40 | while read -r i; do head -c $((i * 7001)) "$W/t2/app/seq" >"$W/t2/app/dir/$i"; done
	mkdir "$W/full"
	cp -a "$W/t1/." "$W/full/"
	cp -a "$W/t2/." "$W/full/"
}
# Reads never wait for ever, whatever is broken.
same_tree() { timeout 120 "$tools/compare-tree" --ignore mtime "$1" "$2" >>"$W/log" 2>&1; }
layout() { "$tools/make-layout" --lazyerofs "$BUILDDIR/lazyerofs" "$@"; }
start_registry() {
	local port
	port=$("$tools/start-registry" "$W/registry" --pid-file "$W/registry.pid") || exit 1
	registry_pid=$(cat "$W/registry.pid")
	registry=127.0.0.1:$port
}
