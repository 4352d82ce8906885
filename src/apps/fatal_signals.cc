#include "apps/fatal_signals.h"

#include <execinfo.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <string_view>

namespace tessera::apps {
namespace {

constexpr int kCalls = 64;

// Called from a handler, so nothing here may allocate or lock.
void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) {
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// The default action is back already (SA_RESETHAND) and comes as soon as this returns.
void report(int signal) {
  const char* const name = ::sigdescr_np(signal);
  say("tessera: ended by a fault of its own: ");
  say(name != nullptr ? name : "a signal");
  say(". Please report it with these calls, innermost first (addr2line -Cfe FILE +OFFSET names their lines):\n");
  std::array<void*, kCalls> calls{};
  const int count = ::backtrace(calls.data(), kCalls);
  ::backtrace_symbols_fd(calls.data(), count, STDERR_FILENO);
  ::raise(signal);
}

}  // namespace

void report_fatal_signals() {
  // The first call loads what unwinds, which a handler must not.
  std::array<void*, 1> calls{};
  ::backtrace(calls.data(), 1);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) {
      continue;
    }
    struct sigaction action {};
    action.sa_handler = report;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace tessera::apps
