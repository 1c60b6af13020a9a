# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for ballast-guestd

_ballast_guestd()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

    COMPREPLY=()
    case $prev in
    --port | --proc | --sys | --run) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    --interval) COMPREPLY=($(compgen -W '100ms 1s 10s' -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W '--port --once --json --interval --no-levers --lever-helper --proc --sys --run --debug --help --version' -- "$cur")) ;;
    esac
}
complete -o filenames -F _ballast_guestd ballast-guestd
