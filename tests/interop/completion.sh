#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# completion.sh - what a TAB makes of a line in the real bash, zsh and fish, each on a
# terminal of its own, with the completions where `make install` puts them.
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
stage=${STAGE:-$top/build/stage}
share=$stage/usr/share
for shell in zsh fish; do
	command -v $shell >/dev/null || { echo "$shell is not installed"; exit 77; }
done
[ -f /usr/share/bash-completion/bash_completion ] || { echo "bash-completion is not installed"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export HOME=$work PATH=$stage/usr/bin:$PATH
n=0
failed=0
ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi
}

mkdir -p layout/sub lazy "my dir/in"
touch layout/file x.ztoc "two words"
cat >bash.rc <<END
COMP_WORDBREAKS=\$' \\t\\n"\\'><=;|&(:'
XDG_DATA_DIRS=$share
. /usr/share/bash-completion/bash_completion
END
# Without the package, and where "=" and ":" cut no words.
cat >bash-plain.rc <<END
. "$share/bash-completion/completions/lazyerofs"
END
cat >bash-words.rc <<END
COMP_WORDBREAKS=\$' \\t\\n"\\'><;|&('
. "$share/bash-completion/completions/lazyerofs"
END
# A shell's own folders are in its fpath; under DESTDIR, what stands for one of them is not.
zsh -fc 'print -l $fpath' >fpath
zsh_dir=
while IFS= read -r dir; do
	[ ! -f "$stage$dir/_lazyerofs" ] || zsh_dir=$stage$dir
done <fpath
[ -n "$zsh_dir" ]
ok $? "zsh: installed into a folder of its fpath"
cat >zsh.rc <<END
fpath=("$zsh_dir" \$fpath)
autoload -Uz compinit && compinit -u -D
END
[ -f "$share/fish/vendor_completions.d/lazyerofs.fish" ] &&
	fish -c 'contains -- /usr/share/fish/vendor_completions.d $fish_complete_path'
ok $? "fish: installed into a folder of its path"
cat >fish.rc <<END
set fish_complete_path $share/fish/vendor_completions.d
END

# What is typed | what it becomes; ~ is a space at its end.
cat >lines <<END
lazyerofs conv|lazyerofs convert~
lazyerofs ind|lazyerofs index~
lazyerofs index r|lazyerofs index rm~
lazyerofs ztoc get|lazyerofs ztoc get-file~
lazyerofs --run-dir $work/la|lazyerofs --run-dir $work/la
lazyerofs --run-dir $work/lay|lazyerofs --run-dir $work/layout/
lazyerofs --run-dir $work sta|lazyerofs --run-dir $work status~
lazyerofs --ver|lazyerofs --version~
lazyerofs ztoc --h|lazyerofs ztoc --help~
lazyerofs create --span|lazyerofs create --span-size=
lazyerofs create --js|lazyerofs create --json~
lazyerofs create --compat=|lazyerofs create --compat=soci-0.
lazyerofs create --compat=soci-0.1|lazyerofs create --compat=soci-0.1~
lazyerofs create --compat s|lazyerofs create --compat soci-0.
lazyerofs create --optimizations=|lazyerofs create --optimizations=xattr~
lazyerofs create --optimizations x|lazyerofs create --optimizations xattr~
lazyerofs ztoc build --compression=g|lazyerofs ztoc build --compression=gzip~
lazyerofs create o|lazyerofs create oci:
lazyerofs create oci:la|lazyerofs create oci:la
lazyerofs create oci:$work/la|lazyerofs create oci:$work/la
lazyerofs create oci:$work/lay|lazyerofs create oci:$work/layout/
lazyerofs create oci:layout/|lazyerofs create oci:layout/sub/
lazyerofs create oci:my|lazyerofs create oci:my\\ dir/
lazyerofs create oci:my\\ dir/|lazyerofs create oci:my\\ dir/in/
lazyerofs create "oci:my dir/|lazyerofs create "oci:my dir/in/
lazyerofs create ./lay|lazyerofs create ./lay
lazyerofs create --json --span-size 4M oci:lay|lazyerofs create --json --span-size 4M oci:layout/
lazyerofs create oci:layout oci:lay|lazyerofs create oci:layout oci:lay
lazyerofs push example.test:5000/app:1 oci:lay|lazyerofs push example.test:5000/app:1 oci:layout/
lazyerofs push -p linux/amd64 example.test/app oci:lay|lazyerofs push -p linux/amd64 example.test/app oci:layout/
lazyerofs index list oci:lay|lazyerofs index list oci:layout/
lazyerofs index info oci:layout lay|lazyerofs index info oci:layout lay
lazyerofs doctor oci:lay|lazyerofs doctor oci:layout/
lazyerofs mount example.test/app lay|lazyerofs mount example.test/app layout/
lazyerofs mount --index sha256:0 -q example.test/app lay|lazyerofs mount --index sha256:0 -q example.test/app layout/
lazyerofs umount lay|lazyerofs umount layout/
lazyerofs umount a b c lay|lazyerofs umount a b c layout/
lazyerofs ztoc info x|lazyerofs ztoc info x.ztoc~
lazyerofs ztoc info two|lazyerofs ztoc info two\\ words~
lazyerofs ztoc build layout/f|lazyerofs ztoc build layout/file~
lazyerofs ztoc build -o x|lazyerofs ztoc build -o x.ztoc~
lazyerofs ztoc build --output x|lazyerofs ztoc build --output x.ztoc~
lazyerofs ztoc build --output=$work/x|lazyerofs ztoc build --output=$work/x.ztoc~
lazyerofs ztoc build -o new layout/f|lazyerofs ztoc build -o new layout/file~
lazyerofs ztoc get-file x.ztoc x|lazyerofs ztoc get-file x.ztoc x
lazyerofs create --docker-config=lay|lazyerofs create --docker-config=layout/
lazyerofs create --ca-file=x|lazyerofs create --ca-file=x.ztoc~
lazyerofs doctor -qc x|lazyerofs doctor -qc x.ztoc~
lazyerofs doctor -d lay|lazyerofs doctor -d layout/
lazyerofs create -- --span|lazyerofs create -- --span
lazyerofs nothing lay|lazyerofs nothing lay
END
for shell in bash zsh fish bash-plain bash-words; do
	case $shell in
	*-*) grep '[=:].*|' lines ;;
	*) cat lines ;;
	esac >$shell.lines
	cut -d'|' -f1 $shell.lines | "$top/tests/tools/type-in" ${shell%-*} $shell.rc >$shell.have || exit 1
	while IFS='|' read -r typed want <&3 && IFS= read -r have <&4; do
		case $shell:$want in
		fish:*=) want=${want%=}\~ ;;	# puts no "=" itself
		bash*:*\"*) want+=\" ;;	# ends the quote, as of any word that is the only one
		esac
		[[ $have != *" " ]] || have=${have% }\~
		[ "$have" = "$want" ]
		ok $? "$shell: $typed -> $have"
	done 3<$shell.lines 4<$shell.have
	[ "$(wc -l <$shell.lines)" = "$(wc -l <$shell.have)" ]
	ok $? "$shell: every line was answered"
done

# All that fits, with descriptions in the shells that show them.
lists() { # SHELL TYPED WORDS...
	local have word
	have=$("$top/tests/tools/type-in" "$1" "$1.rc" <<<"? $2")
	for word in "${@:3}"; do
		[[ " $have " == *" $word "* ]] || { echo "no '$word' in: $have"; return 1; }
	done
	return 0
}
for shell in bash zsh fish; do
	case $shell in
	bash) text() { :; } && value='=' ;;
	zsh) text() { echo " -- $1"; } && value='' ;;
	fish) text() { echo " $1"; } && value='' ;;
	esac
	lists $shell "lazyerofs " "convert$(text "make an image that names its SOCI index")" "create$(text make)" \
		doctor index mount push status umount ztoc
	ok $? "$shell: lists the commands"
	lists $shell "lazyerofs index " "list$(text "the SOCI indexes of an image")" ls info rm
	ok $? "$shell: lists the subcommands"
	lists $shell "lazyerofs create -" --json --force --all-platforms --platform$value --compat$value
	ok $? "$shell: lists the options"
	[ $shell = bash ] ||
		lists $shell "lazyerofs create -" -f "-p$(text "of the image; a comma list, may be repeated (default: this machine's)")"
	ok $? "$shell: short ones and their descriptions, too, if it has them"
	[ $shell = fish ] || lists $shell "lazyerofs create --compat=" soci-0.1 soci-0.2
	ok $? "$shell: lists the values"
	lists $shell "lazyerofs status --json -" --wait$value &&
		! lists $shell "lazyerofs status -" --version >/dev/null
	ok $? "$shell: lists a command's own options only"
done
echo "1..$n"
exit $failed
