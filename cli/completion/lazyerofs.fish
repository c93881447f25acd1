# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for lazyerofs: commands and options are what --help says they are.
function __lazyerofs_command
	for word in (commandline -opc)[2..-1]
		string match -qr '^[a-z]' -- $word; or continue
		echo $word
		contains -- $word ztoc index cache; or break
	end
end
function __lazyerofs_help
	lazyerofs (__lazyerofs_command) --help 2>/dev/null
end
function __lazyerofs_wants_command
	set -l command (__lazyerofs_command)
	test (count $command) = 0; or string match -qr '^(ztoc|index|cache)$' -- "$command"
end
function __lazyerofs_commands
	__lazyerofs_help | string replace -rf '^  ([a-z][a-z-]*) +(.*)$' '$1\t$2'
end
function __lazyerofs_options
	__lazyerofs_help | string replace -rf '^.* (--[a-z-]+)\S*\s+(.*)$' '$1\t$2'
end
complete -c lazyerofs -f -n __lazyerofs_wants_command -a '(__lazyerofs_commands)'
complete -c lazyerofs -n 'string match -q -- "-*" (commandline -ct)' -a '(__lazyerofs_options)'
