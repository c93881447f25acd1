#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A registry that wants a password: from docker's config.json, for the resolver and for
# the daemon's own reads; a wrong one is said so.
. "$SRCDIR/tests/real/lib.sh"

make_trees
start_registry
layout --push "http://$registry/v2/test/two" "$W/lay" "$W/t1" "$W/t2" >/dev/null || exit 1
kill "$registry_pid"
wait_for 10 sh -c "! kill -0 $registry_pid 2>/dev/null"
port=$("$tools/start-registry" "$W/registry" --pid-file "$W/registry.pid" --htpasswd anna:secret) ||
	exit 1
registry_pid=$(cat "$W/registry.pid")
registry=127.0.0.1:$port
login() { # USER:PASSWORD
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf %s "$1" | base64)" \
		>"$W/docker/config.json"
}
mkdir "$W/docker"
config "docker_config $W/docker"
start_daemon

says 'wants a login.*docker login' "no password" \
	cli mount "$registry/test/two" "$W/mnt"
login anna:wrong
says 'login|password|refused' "a wrong one" \
	cli mount "$registry/test/two" "$W/mnt"
! cli mount "$registry/test/two" "$W/mnt" 2>&1 | grep -q wrong
ok $? "which is not printed"
login anna:secret
cli mount "$registry/test/two" "$W/mnt" 2>>"$W/log"
ok $? "the right one"
same_tree "$W/full" "$W/mnt"
ok $? "serves reads, too"
! grep -qE 'secret|YW5uYTpzZWNyZXQ' "$W/log"
ok $? "and stands in no log"
CLI_TIMEOUT=60 cli doctor --config "$W/conf" "$registry/test/two" >"$W/doctor" 2>&1
ok $? "doctor finds the image"
grep -q 'named by the manifest; 2 of 2' "$W/doctor"
ok $? "and its index"
cli doctor --quiet --config "$W/conf" >"$W/quiet"
[ $? = 0 ] && [ ! -s "$W/quiet" ]
ok $? "doctor --quiet"
cli doctor --json --config "$W/conf" "$registry/test/nothing" | jq -e '.usable == false' >/dev/null
ok $? "doctor --json of an image that is not there"
finish
