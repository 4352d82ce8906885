#include "apps/progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/clock.h"

namespace tessera::apps {

Progress::Progress() : shown_(isatty(STDERR_FILENO) == 1), begun_(now()) {}

void Progress::at(double done, const char* what) {
  const TimePoint time = now();
  if (!shown_ || time - last_ < std::chrono::milliseconds(250)) {
    return;
  }
  last_ = time;
  const double spent = std::chrono::duration<double>(time - begun_).count();
  if (spent > 1 && done > 0) {
    std::fprintf(stderr, "\r%3.0f %% %s, about %.0f s left \033[K", 100 * done, what, spent / done * (1 - done));
    dirty_ = true;
  }
}

void Progress::say(const std::string& line) {
  if (shown_) {
    std::fprintf(stderr, "\r%s\033[K", line.c_str());
    dirty_ = true;
  }
}

void Progress::clear() {
  if (dirty_) {
    std::fprintf(stderr, "\r\033[K");
  }
  dirty_ = false;
}

}  // namespace tessera::apps
