# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for ballastd

_ballastd()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

    COMPREPLY=()
    case $prev in
    --mode | -m) COMPREPLY=($(compgen -W 'auto observe' -- "$cur")) ;;
    --log-level) COMPREPLY=($(compgen -W 'error warning notice info debug' -- "$cur")) ;;
    --connect | -c) COMPREPLY=($(compgen -W 'qemu:///system qemu:///session' -- "$cur")) ;;
    --config | --policy) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    --proc | --sys) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    *)
        COMPREPLY=($(compgen -W '--connect --config --policy --mode --session --system --check --log-level --proc --sys
                                 --help --version' -- "$cur"))
        ;;
    esac
}
complete -o filenames -F _ballastd ballastd
