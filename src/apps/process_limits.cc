#include "apps/process_limits.h"

#include <signal.h>
#include <sys/resource.h>

namespace tessera::apps {

void prepare_process() {
  // A peer that goes away while it is written to is an error of that call, not of the process.
  signal(SIGPIPE, SIG_IGN);
  // Ten thousand connections are common; the soft limit of most systems is 1024 for the sake of select().
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

}  // namespace tessera::apps
