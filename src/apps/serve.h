// `tessera serve`: the composition root of the server.
#pragma once

#include "apps/serve_options.h"

namespace tessera::apps {

// Serves until SIGTERM or SIGINT, then finishes what runs. The exit status: 0 when all accepted requests were answered;
// 1 when the server could not start, or had to leave requests behind after exit_timeout.
int serve(const ServeOptions& options);

}  // namespace tessera::apps
