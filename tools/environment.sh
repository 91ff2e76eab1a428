# Sourced by the other tools: makes and enters a virtual environment.
#
#   enter_environment DIRECTORY EXTRAS PYTHON...
#
# DIRECTORY is made where it is missing, with the first PYTHON from 3.9 to 3.13, and
# the package is installed into it with EXTRAS; again whenever setup.py changed.

enter_environment() {
  local directory="$1" extras="$2" python="" candidate stamp
  shift 2
  stamp="$(cksum < setup.py) $extras"
  # Without extras, an environment that has some will do.
  if [[ "$(cat "$directory/.installed" 2>/dev/null)" != "$stamp"* ]]; then
    for candidate in "$directory/bin/python" "$@"; do
      if "$candidate" -c 'import sys, venv, ensurepip
sys.exit(not (3, 9) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python="$candidate"
        break
      fi
    done
    if [ -z "$python" ]; then
      echo "No usable Python among: $*. Install one of them with its venv" \
        "module (Debian: apt install python3-venv)." >&2
      return 1
    fi
    echo "Installing into $directory with $("$python" --version) ..."
    [ -x "$directory/bin/python" ] || "$python" -m venv "$directory"
    "$directory/bin/python" -m pip install --quiet --upgrade pip setuptools
    # A build says much that is of no use here.
    PYTHONWARNINGS=ignore "$directory/bin/python" -m pip install --quiet --editable ".$extras"
    echo "$stamp" > "$directory/.installed"
  fi
  export PATH="$PWD/$directory/bin:$PATH"
  export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"
}
