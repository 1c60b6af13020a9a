# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for ballastctl

# The names that a command lists, a line each. A name is only ever compared and quoted, never expanded.
_ballastctl_guests()
{
    "$@" --json 2>/dev/null | sed -n 's/^ *"name": *"\(.*\)",\{0,1\}$/\1/p'
}

# host.NAME and guest.NAME, of the table that `policy fields` prints.
_ballastctl_fields()
{
    sed -n '2,$s/^\([a-z]*\)  *\([a-z_]*\) .*/\1.\2/p'
}

# Files whose name ends in .$1, and folders.
_ballastctl_files()
{
    local name

    while IFS= read -r name; do
        [[ -d $name || $name == *."$1" ]] && COMPREPLY+=("$name")
    done < <(compgen -f -- "$2")
    compopt -o filenames 2>/dev/null
}

_ballastctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word verb= sub= name
    local verbs='status list stats mode release set policy reload dump version help'
    local policy_verbs='check fields show load run'
    local columns='NAME STATE MODE SOURCE AGE MAXIMUM FULL CURRENT TARGET FLOOR RESIDENT RSS IDLE AVAIL FREE CACHE'
    columns+=' COLD SWAP-IN SWAP-OUT RECLAIM LEVER LEVER-AGE AGENT NODES BUSY UNMOVABLE'
    columns+=' DISTRESS HURTING PROTECTED MOVING STALLED UUID RULE REASON'
    local options='--json --session --color= --no-colour --help --version'
    # Options with a value, which isn't the command or the guest.
    local valued=' --min --full --max --shares --mode --snapshot --columns --sort --color --colour ' skip=
    local -a ask=("${COMP_WORDS[0]}" list) names

    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        # bash splits words at "=".
        if [[ $word == = ]]; then
            skip=yes
            continue
        elif [[ $skip ]]; then
            skip=
            continue
        fi
        [[ $valued == *" $word "* ]] && skip=yes
        case $word in
        --session) ask+=(--session) ;;
        -*) ;;
        *)
            if [[ -z $verb ]]; then
                [[ " $verbs " == *" $word "* ]] && verb=$word
            elif [[ $verb == policy || $verb == help ]] && [[ -z $sub ]]; then
                sub=$word
            fi
            ;;
        esac
    done

    # The value of an option, behind "=" in the same word or not.
    [[ $cur == = ]] && cur=
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
    [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}
    case $prev in
    --color | --colour)
        COMPREPLY=($(compgen -W 'auto always never' -- "$cur"))
        return
        ;;
    --mode)
        COMPREPLY=($(compgen -W 'auto observe off default' -- "$cur"))
        return
        ;;
    --snapshot)
        _ballastctl_files json "$cur"
        return
        ;;
    --columns)
        # The last of several; the others stay.
        word=${cur%"${cur##*,}"}
        COMPREPLY=($(compgen -P "$word" -W "$columns" -- "${cur##*,}"))
        compopt -o nospace 2>/dev/null
        return
        ;;
    --sort)
        [[ $cur == -* ]] && word=- || word=
        COMPREPLY=($(compgen -P "$word" -W "$columns" -- "${cur#-}"))
        return
        ;;
    --min | --full | --max | --shares)
        COMPREPLY=($(compgen -W 'default' -- "$cur"))
        return
        ;;
    esac
    if [[ $cur == -* ]]; then
        [[ $verb == list || $verb == stats || $verb == release ]] && options+=' --all'
        [[ $verb == list ]] && options+=' --wide --columns= --sort= --no-legend --watch'
        [[ $verb == set ]] && options+=' --min= --full= --max= --shares= --mode= --clear'
        [[ "$verb $sub" == 'policy check' ]] && options+=' --together'
        [[ "$verb $sub" == 'policy show' ]] && options+=' --text'
        [[ "$verb $sub" == 'policy run' ]] && options+=' --snapshot='
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        return
    fi
    case $verb in
    '') COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
    mode) COMPREPLY=($(compgen -W 'auto observe' -- "$cur")) ;;
    help)
        if [[ -z $sub ]]; then
            COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
        elif [[ $sub == policy ]]; then
            COMPREPLY=($(compgen -W "$policy_verbs" -- "$cur"))
        fi
        ;;
    policy)
        case $sub in
        '') COMPREPLY=($(compgen -W "$policy_verbs" -- "$cur")) ;;
        check | load | run) _ballastctl_files policy "$cur" ;;
        fields) COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" policy fields 2>/dev/null | _ballastctl_fields)" -- "$cur")) ;;
        esac
        ;;
    list | stats | release | set)
        # A domain that is shut off can be set, too.
        [[ $verb == set || ($verb == list && " ${COMP_WORDS[*]} " == *' --all '*) ]] && ask+=(--all)
        mapfile -t names < <(_ballastctl_guests "${ask[@]}")
        for name in "${names[@]}"; do
            [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
        done
        ;;
    esac
}
complete -F _ballastctl ballastctl
