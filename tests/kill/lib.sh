# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the tests of this folder: registry, daemon and mounts of the staged programs in
# a scratch folder, TAP lines, and everything taken away at the end.
#
#   $W           scratch folder on a real file system: cache/ run/ mnt/ log
#   $F           the images, made once (fixture.sh): registry/ truth/NAME digests/
#   $PORT        where the images are: $(image NAME) is a reference
set -u
[ "$(id -u)" = 0 ] || { echo "needs root: it mounts"; exit 77; }
: "${STAGE:?}" "${BUILDDIR:?}" "${SRCDIR:?}"
PATH=$STAGE/usr/sbin:$STAGE/usr/bin:$PATH
here=$SRCDIR/tests/kill
tools=$SRCDIR/tests/tools
F=$BUILDDIR/kill-fixture
tests=0 failures=0 daemon_pid='' registry_pid='' proxy_pid='' loop_dev='' PORT=''

W=$(mktemp -d "${TMPDIR:-/var/tmp}/lazyerofs-kill.XXXXXX")
mkdir -p "$W/run" "$W/mnt"

gone() { # PID: wait until it is no more, for 10 s
	local i
	for i in $(seq 500); do
		kill -0 "$1" 2>/dev/null || return 0
		# A zombie of our own is as good as gone.
		[ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" != Z ] || return 0
		sleep 0.02
	done
	return 1
}
guardian_pid() { cat "$W/run/guardian.lock" 2>/dev/null; }

cleanup() {
	local rc=$? pid dir
	trap - EXIT
	trap '' INT TERM
	exec 2>/dev/null
	for pid in $(jobs -p); do kill -9 "$pid" 2>/dev/null; done
	pid=$(guardian_pid)
	# The number may be another's by now.
	if [ -n "$pid" ] && grep -qa "$W/run" "/proc/$pid/cmdline" 2>/dev/null; then
		kill -9 "$pid"
		gone "$pid"
	fi
	[ -z "$registry_pid" ] || kill -9 "$registry_pid" 2>/dev/null
	awk -v w="$W/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | tac |
		while read -r dir; do umount -l "$dir"; done
	[ -z "$loop_dev" ] || losetup -d "$loop_dev" 2>/dev/null
	rm -rf --one-file-system "$W"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# --- TAP --------------------------------------------------------------------------------

# ok COND TEXT: COND is the exit status of what was tested
ok() {
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		[ ! -f "$W/log" ] || tail -n 8 "$W/log" | sed 's/^/#   /'
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
	exit $((failures > 0))
}

# --- registry -----------------------------------------------------------------------------

# A registry of our own with all the images; a copy, so that it can be damaged.
start_registry() {
	bash "$here/fixture.sh" "$F" || { echo "no images to test with"; exit 1; }
	mkdir -p "$W/registry"
	cp -a --reflink=auto "$F/registry/data" "$W/registry/data"
	PORT=$("$tools/start-registry" "$W/registry" --pid-file "$W/registry.pid") || exit 1
	registry_pid=$(cat "$W/registry.pid")
	registry_port=$PORT
}
kill_registry() {
	kill -9 "$registry_pid"
	gone "$registry_pid"
	registry_pid=''
}
# The same registry at the same port, after kill_registry.
restart_registry() {
	local i
	docker-registry serve "$W/registry/config.yml" >>"$W/registry/log" 2>&1 </dev/null &
	registry_pid=$!
	for i in $(seq 100); do
		curl -fs -o /dev/null "http://127.0.0.1:$registry_port/v2/" && return 0
		sleep 0.1
	done
	return 1
}
# slow_down BYTES_PER_SECOND: put a slow line before the registry; PORT leads there.
slow_down() {
	python3 "$here/slowline.py" "$registry_port" "$1" >"$W/proxy.port" &
	proxy_pid=$!
	for _ in $(seq 100); do [ -s "$W/proxy.port" ] && break; sleep 0.05; done
	PORT=$(cat "$W/proxy.port")
}
image() { echo "127.0.0.1:$PORT/$1:latest"; }
# GETs of layer blobs that the registry has seen: layer_requests [DIGEST]
layer_requests() {
	local digest n=0 sum=0
	for digest in ${1:-$(cat "$F"/digests/*)}; do
		n=$(grep -c "\"GET [^ ]*/blobs/$digest " "$W/registry/log")
		sum=$((sum + n))
	done
	echo $sum
}

# --- daemon -------------------------------------------------------------------------------

# config KEY=VALUE...: settings of daemons started from now on
config() { printf '%s\n' "$@" | sed 's/=/ /' >"$W/conf"; }
config background=off

# Until it serves.
start_daemon() {
	[ -d "$W/cache" ] || mkdir "$W/cache"
	lazyerofsd -c "$W/conf" --dir "$W/cache" --run-dir "$W/run" >>"$W/log" 2>&1 9>&- &
	daemon_pid=$!
	cli status --wait 20 >/dev/null && kill -0 "$daemon_pid" && return 0
	echo "#   the daemon does not start:"
	tail -n 8 "$W/log" | sed 's/^/#   /'
	return 1
}
stop_daemon() {
	kill -TERM "$daemon_pid"
	gone "$daemon_pid" || return 1
	wait "$daemon_pid"
	local rc=$?
	daemon_pid=''
	return $rc
}
kill_daemon() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=''
}
kill_guardian() {
	local pid
	pid=$(guardian_pid)
	kill -9 "$pid"
	gone "$pid"
}
cli() {
	local command=$1
	shift
	timeout -k 5 60 lazyerofs --run-dir "$W/run" "$command" "$@"
}
total() { cli status --json | jq ".totals.$1"; } # NAME: a counter of the daemon
# mount_image NAME [DIR]: on $W/mnt, or DIR
mount_image() {
	local dir=${2:-$W/mnt}
	mkdir -p "$dir"
	cli mount "$(image "$1")" "$dir" >/dev/null
}
unmount() {
	timeout 20 umount "${1:-$W/mnt}"
}

# --- readers --------------------------------------------------------------------------------

# sweep NAME [DIR [OPTION...]]: all files of the mount against the truth; a line of counts.
sweep() {
	local name=$1 dir=${2:-$W/mnt}
	shift
	[ $# -eq 0 ] || shift
	timeout -k 5 100 python3 "$here/sweep.py" "$@" "$dir" "$F/truth/$name"
}
# field LINE NAME
field() { echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }
# Nothing but right bytes and, where allowed, EIO.
is_clean() { # LINE TEXT
	is "zero=$(field "$1" zero) wrong=$(field "$1" wrong) other=$(field "$1" other)" \
		"zero=0 wrong=0 other=0" "$2 ($1)"
}
is_all_right() { # LINE TEXT
	[ "$(field "$1" whole)" -gt 0 ] || set -- "eio=none whole=some ($1)" "$2"
	is "eio=$(field "$1" eio) zero=$(field "$1" zero) wrong=$(field "$1" wrong) other=$(field "$1" other) files=$(field "$1" files)" \
		"eio=0 zero=0 wrong=0 other=0 files=$(field "$1" whole)" "$2 ($1)"
}
# What is left after the last umount: nothing. Patient: also wait for the guardian's end.
is_nothing_left() { # [patient]
	local guardian
	guardian=$(guardian_pid)
	stop_daemon
	ok $? "orderly stop"
	if [ $# -gt 0 ]; then
		for _ in $(seq 150); do
			kill -0 "$guardian" 2>/dev/null || break
			sleep 0.1
		done
		kill -0 "$guardian" 2>/dev/null
		is $? 1 "the guardian ends when it has nothing to keep"
	fi
	is "$(grep -c " $W/run\| $W/mnt" /proc/self/mountinfo)" 0 "nothing is mounted any more"
}
