// The command line of `tessera serve`.
#pragma once

#include "apps/serve_options.h"

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

// Declares the flags on `command`; parsing fills `options`, which must live as long as the command.
void add_serve_flags(CLI::App& command, ServeOptions& options);

// Those of them that a server without connections has: its models, device and policy. None is required.
void add_service_flags(CLI::App& command, ServeOptions& options);

}  // namespace tessera::apps
