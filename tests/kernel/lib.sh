# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the tests of this folder: a toy daemon with its directories, TAP lines, and
# everything taken away at the end.
#
#   $W       working directory on a real file system: src/ cache/ mnt/ log
#   $R       run directory (short path: it holds a socket)
set -u
[ "$(id -u)" = 0 ] || { echo "needs root: it mounts"; exit 77; }
: "${BUILDDIR:?}"
bin=$BUILDDIR/tests/kernel
guardian=$BUILDDIR/lazyerofs-guardian
tests=0 failures=0 daemon_pid= loop_dev=

W=$(mktemp -d "$BUILDDIR/kernel-test.XXXXXX")
R=$(mktemp -d /run/lzt.XXXXXX)
mkdir -p "$W/src" "$W/mnt"

cleanup() {
	local dir
	trap - EXIT INT TERM
	[ -z "$daemon_pid" ] || kill -9 "$daemon_pid" 2>/dev/null
	[ ! -s "$R/guardian.lock" ] || kill -9 "$(cat "$R/guardian.lock")" 2>/dev/null
	umount -l "$W/mnt" 2>/dev/null
	for dir in "$R"/cache*; do umount -l "$dir" 2>/dev/null; done
	umount -l "$W/cache" 2>/dev/null
	[ -z "$loop_dev" ] || losetup -d "$loop_dev" 2>/dev/null
	rm -rf --one-file-system "$W" "$R"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# ok COND TEXT: COND is the exit status of what was tested
ok() {
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		[ ! -f "$W/log" ] || tail -n 5 "$W/log" | sed 's/^/#   /'
	fi
}
# is GOT WANT TEXT
is() {
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || echo "#   got '$1', want '$2'"
}
finish() {
	echo "1..$tests"
	[ $failures -eq 0 ]
	exit
}

# start_daemon [KEY=VALUE]...: until it serves
start_daemon() {
	: >"$W/out"
	"$bin/toyd" "$W/cache" "$R" "$W/src" "$W/mnt" "$@" >"$W/out" 2>>"$W/log" &
	daemon_pid=$!
	for _ in $(seq 500); do
		grep -q ready "$W/out" && return 0
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.02
	done
	echo "#   the daemon does not start"
	tail -n 5 "$W/log" | sed 's/^/#   /'
	daemon_pid=
	return 1
}
stop_daemon() {
	kill -TERM "$daemon_pid"
	wait "$daemon_pid"
	local rc=$?
	daemon_pid=
	return $rc
}
kill_daemon() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}
guardian_pid() { cat "$R/guardian.lock"; }
kill_guardian() {
	local pid
	pid=$(guardian_pid)
	kill -9 "$pid"
	# Not our child: wait for its descriptors to be closed.
	for _ in $(seq 500); do kill -0 "$pid" 2>/dev/null || break; sleep 0.01; done
}
# A counter of the last daemon that was stopped in order.
counter() { tr ' ' '\n' <"$W/out" | sed -n "s/^$1=//p"; }

# reader WAY NAME [THREADS [PAGES]]: result line on stdout
reader() {
	local way=$1 name=$2
	shift 2
	timeout -k 5 100 "$bin/reader" "$way" "$W/mnt/$name" "$W/src/$name" "$@"
}
random_file() { head -c "$2" /dev/urandom >"$W/src/$1"; }
# A page of the result line: field LINE NAME
field() { echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }
