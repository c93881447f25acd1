# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for lazyerofs: commands, options and kinds of arguments are what --help says.

# Is COMMAND what stands on the line? Arguments follow it.
function __lazyerofs_is # COMMAND...
	set -l words (__lazyerofs_words --run-dir)
	test "$words[1..$(count $argv)]" = "$argv"
end

# No command of the group COMMAND yet?
function __lazyerofs_in # COMMAND...
	test "$(__lazyerofs_words --run-dir)" = "$argv"
end

# The words before the cursor that are no options, nor the values of OPTIONs.
function __lazyerofs_words # OPTION...
	set -l skip
	set -l tokens (commandline -opc)
	for word in $tokens[2..-1]
		if set -q skip[1]
			set -e skip
		else if contains -- $word $argv
			set skip yes
		else if not string match -qr '^-.' -- $word
			echo $word
		end
	end
end

# The kind of the argument at the cursor, of COMMAND's ARGUMENTS.
function __lazyerofs_wants # COMMAND ARGUMENTS OPTIONS KIND...
	set -l command (string split ' ' -- $argv[1])
	set -l kinds (string split ' ' -- $argv[2])
	__lazyerofs_is $command; or return
	set -l n (math (__lazyerofs_words --run-dir (string split ' ' -- $argv[3]) | count) - (count $command) + 1)
	if test $n -gt (count $kinds); and string match -q '*...' -- $kinds[-1]
		set n -1
	end
	set -l kind $kinds[$n]
	contains -- (string trim -c '[].' -- "$kind") $argv[4..-1]
end

function __lazyerofs_images
	set -l word (commandline -ct | string trim -l -c '"\'')
	if string match -q 'oci:*' -- $word
		__fish_complete_directories (string replace oci: '' -- $word) | string replace -r '^' oci:
	else
		printf 'oci:\tan image layout on disk\n'
	end
end

function __lazyerofs_add_option # CONDITION LETTER NAME KIND TEXT
	set -l options -c lazyerofs -n $argv[1] -l $argv[3] -d $argv[5]
	test -z "$argv[2]"; or set -a options -s $argv[2]
	switch "$argv[4]"
		case ''
			complete $options
		case FILE
			complete $options -r -F
		case DIR
			complete $options -x -a '(__fish_complete_directories)'
		case '*'
			set -l values (string match -r '^[a-z].*' -- $argv[4] | string replace -a '|' ' ')
			complete $options -x -a "$values"
	end
end

# COMMAND, and the commands of its group.
function __lazyerofs_add # COMMAND...
	set -l here "__lazyerofs_is $argv"
	set -l arguments
	set -l valued
	for line in (lazyerofs $argv --help 2>/dev/null)
		if set -l m (string match -r '^  (?:-(?<letter>.),|   ) --(?<name>[a-z-]+)(?:=(?<kind>\S+))? +(?<text>.*)$' -- $line)
			__lazyerofs_add_option "$here" "$letter" $name "$kind" $text
			if test -n "$kind"
				set -a valued --$name
				test -z "$letter"; or set -a valued -$letter
			end
		else if set -l m (string match -rg '^  ([a-z][a-z-]*) +(.*)$' -- $line)
			set here "__lazyerofs_in $argv"
			complete -c lazyerofs -n "$here" -a $m[1] -d $m[2]
			__lazyerofs_add $argv $m[1]
		else if string match -q 'Usage: *' -- $line; and not string match -q '*COMMAND*' -- $line
			set arguments (string replace -r '^Usage: lazyerofs '"$argv"' (\[OPTIONS\] ?)?' '' -- $line)
		end
	end
	test -n "$arguments"; or return
	set -l wants "__lazyerofs_wants '$argv' '$arguments' '$valued'"
	complete -c lazyerofs -n "$wants FILE LAYER ZTOC" -F
	complete -c lazyerofs -n "$wants DIR" -a '(__fish_complete_directories)'
	complete -c lazyerofs -n "$wants IMAGE SRC DST" -a '(__lazyerofs_images)'
end

complete -c lazyerofs -f
__lazyerofs_add
