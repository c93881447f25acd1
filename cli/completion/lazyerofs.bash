# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for lazyerofs: commands, options and kinds of arguments are what --help says.

# The line up to the cursor in whole words, which bash cuts at $COMP_WORDBREAKS ("=", ":"),
# into `words`; what of the last one stands before the part that readline completes, into
# `before`; an open quote, into `quote`.
_lazyerofs_split() {
	local line=${COMP_LINE:0:COMP_POINT} i part=
	words=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		part=${COMP_WORDS[i]}
		[[ $i != "$COMP_CWORD" ]] || part=${line#"${line%%[![:space:]]*}"}
		if [[ $i == 0 || $line == [[:space:]]* ]]; then
			words+=("$part")
		else
			words[-1]+=$part
		fi
		line=${line#"${line%%[![:space:]]*}"}
		line=${line#"$part"}
	done
	[[ $part != [=:]* ]] || part=
	before=${words[-1]%"$part"}
	if [[ ${words[-1]} == [\"\']* ]]; then
		quote=${words[-1]:0:1}
		words[-1]=${words[-1]:1}
	fi
}

# The help of a command: into `commands`, `options` (with "=" where a value follows),
# `value` (option: kind of its value), `arguments` (kinds).
_lazyerofs_help() { # COMMAND...
	local line usage='^Usage: lazyerofs '"$*"' ?(\[OPTIONS\] ?)?(.*)$'
	local command='^  ([a-z][a-z-]*) ' option='^  (-(.),|   ) --([a-z-]+)(=([^ ]+))? '
	commands=() options=() value=() arguments=()
	while IFS= read -r line; do
		if [[ $line =~ $option ]]; then
			options+=("--${BASH_REMATCH[3]}${BASH_REMATCH[4]:+=}")
			[[ -n ${BASH_REMATCH[4]} ]] || continue
			value[--${BASH_REMATCH[3]}]=${BASH_REMATCH[5]}
			[[ -z ${BASH_REMATCH[2]} ]] || value[-${BASH_REMATCH[2]}]=${BASH_REMATCH[5]}
		elif [[ $line =~ $command ]]; then
			commands+=("${BASH_REMATCH[1]}")
		elif [[ $line =~ $usage ]]; then
			read -ra arguments <<<"${BASH_REMATCH[2]}"
		fi
	done < <("${words[0]/#\~\//${HOME-}/}" "$@" --help 2>/dev/null)
}

# Those of the words that continue `cur`.
_lazyerofs_words() { # PREFIX WORD...
	local word
	for word in "${@:2}"; do
		[[ $1$word != "$cur"* ]] || COMPREPLY+=("$1$word")
	done
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[=:] ]] || compopt -o nospace
	COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

# Files or, with -d, folders, after PREFIX.
_lazyerofs_files() { # -f|-d PREFIX
	local path text=${cur#"$2"}
	if [[ -z $quote && $before == "$2" ]]; then	# readline itself knows best about quotes and tildes
		[[ $1 != -f ]] || compopt -o default
		[[ $1 != -d ]] || compopt -o dirnames
		compopt -o filenames
		return
	fi
	[[ -n $quote ]] || text=${text//\\/}
	compopt -o nospace
	while IFS= read -r path; do
		[[ ! -d ${path/#\~\//${HOME-}/} ]] || path+=/
		[[ -n $quote ]] || printf -v path %q "$path"
		path=$2${path/#\\~/\~}
		COMPREPLY+=("${path#"$before"}")
	done < <(compgen "$1" -- "$text")
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} == */ ]] || compopt +o nospace
}

_lazyerofs_value() { # KIND PREFIX: a value that --help calls KIND
	local kind=${1%...}
	kind=${kind#\[} kind=${kind%\]}
	case $kind in
	FILE | LAYER | ZTOC) _lazyerofs_files -f "$2" ;;
	DIR) _lazyerofs_files -d "$2" ;;
	IMAGE | SRC | DST)
		if [[ $cur == "$2"oci:* ]]; then
			_lazyerofs_files -d "$2oci:"
		else
			_lazyerofs_words "$2" oci:
		fi ;;
	[a-z]*) IFS='|' read -ra kind <<<"$kind" && _lazyerofs_words "$2" "${kind[@]}" ;;
	esac
}

_lazyerofs() {
	local words before quote='' cur word path=() n=0 wanted='' only_arguments=''
	local commands options arguments
	local -A value
	COMPREPLY=()
	_lazyerofs_split
	cur=${words[-1]}
	_lazyerofs_help
	for word in "${words[@]:1:${#words[@]}-2}"; do
		if [[ -n $wanted ]]; then
			wanted=
		elif [[ -n $only_arguments || $word != -?* ]]; then
			if [[ ${#commands[@]} == 0 ]]; then
				n=$((n + 1))
				continue
			fi
			path+=("$word")
			_lazyerofs_help "${path[@]}"
		elif [[ $word == -- ]]; then
			only_arguments=1
		elif [[ $word == -[!-]* ]]; then	# of -xyz, the last one may want a value
			while [[ $word == -??* && -z ${value[${word:0:2}]-} ]]; do word=-${word:2}; done
			wanted=${value[$word]-}
		else
			wanted=${value[$word]-}
		fi
	done
	if [[ -n $wanted ]]; then
		_lazyerofs_value "$wanted" ""
	elif [[ -z $only_arguments && $cur == --*=* ]]; then
		_lazyerofs_value "${value[${cur%%=*}]-}" "${cur%%=*}="
	elif [[ -z $only_arguments && $cur == -* ]]; then
		_lazyerofs_words "" "${options[@]}"
	elif [[ ${#commands[@]} != 0 ]]; then
		_lazyerofs_words "" "${commands[@]}"
	elif [[ $n -lt ${#arguments[@]} ]]; then
		_lazyerofs_value "${arguments[n]}" ""
	elif [[ ${#arguments[@]} != 0 && ${arguments[-1]} == *... ]]; then
		_lazyerofs_value "${arguments[-1]}" ""
	fi
}
complete -F _lazyerofs lazyerofs
