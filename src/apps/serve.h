// `tessera serve`: the composition root of the server.
#pragma once

#include "apps/make_service.h"
#include "apps/serve_options.h"

namespace tessera::apps {

inline constexpr int kExitStuck = 3;

// Serves until SIGTERM or SIGINT, then finishes what runs. The exit status: 0 when all accepted requests were answered;
// 1 when the server could not start, had to leave requests behind after exit_timeout, or ended by itself, some seconds
// after the last device was lost; kExitStuck when it ended beside a batch that does not end, by itself or not. A new
// process helps in either case.
int serve(const ServeOptions& options, const OpenDevices& open = DeviceOpener());

}  // namespace tessera::apps
