import { quoteWord } from '../../report/quote.ts';

/**
 * What the scripts of all shells share, for `sh -c`: it finds the project, and answers from `.slipway/completion`.
 * `words TYPED … CURRENT` prints `WORD<tab>SUMMARY` lines, or `@file`; status 1: what is kept is older than what it was
 * made from, 2: there is no project. `save` keeps what comes in, unless its end is missing. No Node is started here.
 */
const SHARED = String.raw`
d=$PWD
until [ -f "$d/tasks.ts" ] || [ -f "$d/tasks.mts" ]; do
  [ -n "$d" ] || exit 2
  d=\${d%/*}
done
kept=$d/.slipway/completion
verb=$1
shift
if [ "$verb" = save ]; then
  mkdir -p -m 700 "$d/.slipway" && cat >"$kept.$$" || exit 1
  if [ "$(tail -n 1 "$kept.$$")" = end ]; then mv "$kept.$$" "$kept"; else rm "$kept.$$"; touch -c "$kept"; fi
  exit 0
fi
[ -f "$kept" ] || exit 1
for f in "$d"/tasks.ts "$d"/tasks.mts "$d"/tasks/*.ts "$d"/package.json "$d"/node_modules/.package-lock.json; do
  [ "$f" -nt "$kept" ] && exit 1
done
RUNS=$(cd "$d/.slipway/runs" 2>/dev/null && echo *)
export RUNS
exec awk '
  function offer(word, told) {
    if (index(word, before typed) == 1 && !(word in offered)) { offered[word] = 1; print word "\t" told }
  }
  function spread(values,  i, n, list) {
    sub(/^\[/, "", values)
    if (values == "@run") values = ENVIRON["RUNS"]
    if (values == "@file") { print "@file"; return }
    if (values == "-" || values == "?" || values == "*") return
    n = split(values, list, " ")
    for (i = 1; i <= n; i++) offer(before list[i], "")
  }
  function rules(flag,  i) {
    for (i = 1; i <= flags; i++) if (name[i] == flag && ((owner[i] in named) || owner[i] == verb)) return takes[i]
    for (i = 1; i <= flags; i++) if (name[i] == flag) return takes[i]
    return "-"
  }
  function holds(values, word) { return index(" " substr(values, 2) " ", " " word " ") > 0 }
  BEGIN {
    FS = "\t"
    while ((getline <ARGV[1]) > 0) {
      if ($1 == "task" || $1 == "verb") { kind[$2] = $1; order[++words] = $2; about[$2] = $3 }
      if ($1 == "args") args[$2] = $3
      if ($1 == "flag") { owner[++flags] = $2; name[flags] = $3; takes[flags] = $4; told[flags] = $5 }
    }
    typed = ARGV[ARGC - 1]
    for (i = 2; i < ARGC - 1; i++) {
      word = ARGV[i]
      if (word == "--") exit
      if (open != "" && (open !~ /^\[/ || holds(open, word))) { open = ""; continue }
      open = ""
      if (word ~ /^-/) { if (word !~ /=/) { open = rules(word); if (open == "-") open = "" } }
      else if (kind[word] == "verb" && !tasks && verb == "") verb = word
      else if (kind[word] == "task" && verb == "") { named[word] = 1; tasks++ }
      else given++
    }
    if (typed ~ /^--[^=]+=/) {
      before = typed; sub(/=.*/, "=", before); typed = substr(typed, length(before) + 1)
      spread(rules(substr(before, 1, length(before) - 1)))
    } else if (typed ~ /^-/ && open !~ /^[^\[]/) {
      for (i = 1; i <= flags; i++) {
        mine = verb == "" ? (owner[i] == "*" || (owner[i] in named)) : (owner[i] == verb)
        if (mine && name[i] ~ /^--/) offer(name[i], told[i])
      }
    } else {
      if (open != "") spread(open)
      if (open != "" && open !~ /^\[/) exit
      if (verb != "") { if (!given) spread(args[verb]) }
      else for (i = 1; i <= words; i++) if (kind[order[i]] == "task" || !tasks) offer(order[i], about[order[i]])
    }
  }' "$kept" "$@"
`.replaceAll('\\${', '${');

/** fish reads only `\\` and `\'` in single quotes. */
const quoteFish = (text: string): string => `'${text.replace(/[\\']/g, String.raw`\$&`)}'`;

const BASH = String.raw`# bash completion of slipway:  eval "$(slipway completion bash)"
# of a function of yours that runs slipway as well:  complete -F _slipway NAME
_slipway_shared=SHARED
_slipway() {
  local typed words line cut status
  COMPREPLY=()
  typed=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<<"$typed"
  case $typed in *[[:space:]]) words+=("") ;; esac
  line=$(sh -c "$_slipway_shared" slipway words "\${words[@]:1}")
  status=$?
  if [ "$status" = 1 ]; then
    "$1" completion words </dev/null 2>/dev/null | sh -c "$_slipway_shared" slipway save 2>/dev/null
    line=$(sh -c "$_slipway_shared" slipway words "\${words[@]:1}")
  fi
  # What stands before the last : or = is a word of its own to readline.
  cut=\${words[\${#words[@]}-1]}
  case $COMP_WORDBREAKS in *:*) ;; *) cut=\${cut//:/} ;; esac
  case $cut in *[:=]*) cut=\${cut%\${cut##*[:=]}} ;; *) cut= ;; esac
  while IFS=$'\t' read -r line _; do
    if [ "$line" = @file ]; then compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$2"))
    elif [ -n "$line" ]; then COMPREPLY+=("\${line#"$cut"}"); fi
  done <<<"$line"
}
complete -F _slipway slipway
`;

const ZSH = String.raw`#compdef slipway
# zsh completion of slipway:  eval "$(slipway completion zsh)"  after compinit, or as a file _slipway in fpath
# of a function of yours that runs slipway as well:  compdef _slipway NAME
typeset -g _slipway_shared=SHARED
_slipway() {
  local out line
  local -a names told typed
  typed=("\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}")
  out=$(sh -c "$_slipway_shared" slipway words "\${(@)typed}")
  if (( $? == 1 )); then
    \${(Q)words[1]} completion words </dev/null 2>/dev/null | sh -c "$_slipway_shared" slipway save 2>/dev/null
    out=$(sh -c "$_slipway_shared" slipway words "\${(@)typed}")
  fi
  for line in "\${(@f)out}"; do
    [[ $line == @file ]] && { _files; continue }
    [[ -n $line ]] || continue
    names+=("\${line%%$'\t'*}")
    told+=("\${line%%$'\t'*}  \${line#*$'\t'}")
  done
  (( $#names )) && compadd -l -d told -a names
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _slipway "$@"; else compdef _slipway slipway; fi
`;

const FISH = String.raw`# fish completion of slipway:  slipway completion fish | source
# of a function of yours that runs slipway as well:  complete -c NAME -w slipway
set -g __slipway_shared SHARED
function __slipway_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l out (sh -c $__slipway_shared slipway words $typed[2..-1] "$current")
    if test $status = 1
        $typed[1] completion words </dev/null 2>/dev/null | sh -c $__slipway_shared slipway save 2>/dev/null
        set out (sh -c $__slipway_shared slipway words $typed[2..-1] "$current")
    end
    for line in $out
        if test "$line" = @file
            __fish_complete_path "$current"
        else
            printf '%s\n' $line
        end
    end
end
complete -c slipway -f -a '(__slipway_complete)'
`;

const script = (text: string, shared: string): string => text.replaceAll('\\${', '${').replace('SHARED', () => shared);

/** The script that teaches a shell what can be typed. */
export const SCRIPTS: { readonly [shell in 'bash' | 'zsh' | 'fish']: string } = {
  bash: script(BASH, quoteWord(SHARED)),
  zsh: script(ZSH, quoteWord(SHARED)),
  fish: script(FISH, quoteFish(SHARED)),
};
