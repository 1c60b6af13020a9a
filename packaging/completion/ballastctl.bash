# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for ballastctl

# The names of the guests, a line each. A name is only ever compared and quoted, never expanded.
_ballastctl_guests()
{
    "$@" list --json 2>/dev/null | sed -n 's/^ *"name": *"\(.*\)",\{0,1\}$/\1/p'
}

_ballastctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word verb= name
    local verbs='status list stats mode release reload dump version help'
    local options='--json --session --all --color= --no-colour --help --version'
    local -a ask=("${COMP_WORDS[0]}") names

    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
        --session) ask+=(--session) ;;
        -*) ;;
        *) [[ " $verbs " == *" $word "* && -z $verb ]] && verb=$word ;;
        esac
    done

    # bash splits words at "=".
    if [[ $cur == --color=* || $prev == --color || ($prev == = && ${COMP_WORDS[COMP_CWORD - 2]} == --color) ]]; then
        [[ $cur == = ]] && cur=
        COMPREPLY=($(compgen -W 'auto always never' -- "${cur#--color=}"))
        return
    fi
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        return
    fi
    case $verb in
    '') COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
    mode) COMPREPLY=($(compgen -W 'auto observe' -- "$cur")) ;;
    help) COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
    stats | release)
        mapfile -t names < <(_ballastctl_guests "${ask[@]}")
        for name in "${names[@]}"; do
            [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
        done
        ;;
    esac
}
complete -F _ballastctl ballastctl
