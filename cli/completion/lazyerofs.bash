# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for lazyerofs: commands and options are what --help says they are.
_lazyerofs_words() { # COMMAND...: subcommands and options that its help lists
	"$@" --help 2>/dev/null | sed -n \
		-e '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' \
		-e '/^Options:/,$s/.*  *\(--[a-z-]*\).*/\1/p'
}

_lazyerofs() {
	local cur=${COMP_WORDS[COMP_CWORD]} prog=${COMP_WORDS[0]} command=() i word
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ $word == [a-z]* ]] || continue
		command+=("$word")
		case $word in ztoc|index|cache) ;; *) break ;; esac
	done
	if [[ ${#command[@]} == 0 || ${command[*]} =~ ^(ztoc|index|cache)$ || $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_lazyerofs_words "$prog" "${command[@]}")" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o filenames -F _lazyerofs lazyerofs
