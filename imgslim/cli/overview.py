"""What ``imgslim --help`` says. Plain text, so that it needs no import and comes at once."""

COMMANDS = {
    "analyze": "Say what an image runs, what that needs, and what is left out.",
    "rewrite": "Write the slim multi-stage Dockerfile, and build it if asked.",
    "verify": "Compare a built image with its plan, entry by entry.",
    "why": "Say why a path is kept, or why it is left out.",
    "audit": "Say what inflates an image: layers, directories, files, packages.",
    "check": "Hold an image against limits, for CI: size, growth, waste, kinds.",
    "diff": "Say what differs between two images, and what brought the growth.",
}
"""Each command with its one line; its module has the same name."""

OVERVIEW = """\
Usage: imgslim [OPTIONS] COMMAND IMAGE

  A fat container image in, a slim multi-stage Dockerfile out. What the program
  needs at run time is derived from the image's own files, each path with its
  reason; nothing of the image is executed.

Commands:
{commands}

IMAGE is one of
  app:latest, sha256:4f5e       a name or id in the engine (docker, podman)
  app.tar                       a `docker save` archive, compressed or not
  ./layout                      an OCI layout, as a directory or an archive
  -                             an archive on standard input
or says which: docker-daemon:, docker-archive:, oci:, oci-archive:

Examples:
  imgslim analyze app:latest
  imgslim rewrite app:latest -o Dockerfile.slim
  imgslim rewrite app:latest --build -t app:slim
  imgslim verify app:slim --plan plan.json
  imgslim why app:latest /usr/lib/libssl.so.3
  docker save app:latest | imgslim audit -
  imgslim check app:latest --max-size 300MB --forbid toolchain
  imgslim diff app:yesterday app:latest

Options:
  -V, --version  Show the version and exit.
  -h, --help     Show this text and exit; `imgslim COMMAND --help` says more.

Exit codes:
  0  done                        5  no image archive or plan, or damaged
  1  an error in imgslim         6  a digest does not match
  2  wrong usage                 7  a kind of image that cannot be slimmed
  3  no engine, or it failed     8  the entrypoint is not in the image
  4  no such image, path, ...    9  the output exists or cannot be written
  10  --drop leaves out what is needed
  11  the Dockerfile of --source cannot be used
  12  the image of --base cannot be used
  13  the image is not as planned
  1 of check: a limit does not hold; of diff --exit-code: the images differ
  130, 143  interrupted (Ctrl-C, SIGTERM)
""".format(commands="\n".join(f"  {name:<9}{line}" for name, line in COMMANDS.items()))
