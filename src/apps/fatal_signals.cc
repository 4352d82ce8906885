#include "apps/fatal_signals.h"

#include <execinfo.h>
#include <fcntl.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

// Called from a handler, so nothing here may allocate or lock.
namespace tessera::apps {
namespace {

constexpr int kCalls = 64;
constexpr std::uintptr_t kStackRead = 32768;  // bytes

void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) {
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void say_hex(std::uintptr_t number) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), number, 16).ptr;
  say("0x");
  say({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

// What of the address space lies around an address.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool is_code = false;
  std::uintptr_t base = 0;  // where the first piece of that file lies
  std::array<char, 256> file{};
};

// /proc/self/maps, line by line.
class Maps {
 public:
  Maps() : file_(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~Maps() { ::close(file_); }
  Maps(const Maps&) = delete;
  Maps& operator=(const Maps&) = delete;

  bool find(std::uintptr_t address, Mapping& found) {
    Mapping first;
    for (std::string_view line = next(); !line.empty(); line = next()) {
      read(line, found);
      if (std::string_view(found.file.data()) != first.file.data()) {
        first = found;
      }
      if (address >= found.begin && address < found.end) {
        found.base = first.begin;
        return true;
      }
    }
    return false;
  }

 private:
  // 55d0c0a00000-55d0c0a20000 r-xp 00002000 08:01 131  /usr/bin/some
  static void read(std::string_view line, Mapping& into) {
    const char* const end = line.data() + line.size();
    const char* at = std::from_chars(line.data(), end, into.begin, 16).ptr;
    at = std::from_chars(at + 1, end, into.end, 16).ptr;
    into.is_code = end - at > 3 && at[3] == 'x';
    const std::size_t name = line.find('/');
    const std::string_view file = name == std::string_view::npos ? std::string_view() : line.substr(name);
    const std::size_t length = std::min(file.size(), into.file.size() - 1);
    std::copy_n(file.begin(), length, into.file.begin());
    into.file[length] = '\0';
  }

  // Empty at the end, and in place of one that is too long.
  std::string_view next() {
    std::size_t length = 0;
    while (length < line_.size()) {
      if (at_ == filled_) {
        const ssize_t got = ::read(file_, block_.data(), block_.size());
        if (got <= 0) {
          return {};
        }
        at_ = 0;
        filled_ = static_cast<std::size_t>(got);
      }
      const char letter = block_[at_++];
      if (letter == '\n') {
        return {line_.data(), length};
      }
      line_[length++] = letter;
    }
    return {};
  }

  const int file_;
  std::array<char, 4096> block_{};
  std::array<char, 1024> line_{};
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
};

// FILE(+0xOFFSET) [0xADDRESS], as backtrace_symbols() has it.
bool say_place(std::uintptr_t address, bool only_code) {
  Mapping mapping;
  const bool found = Maps().find(address, mapping);
  if (only_code && !(found && mapping.is_code)) {
    return false;
  }
  say(!found ? "nothing" : mapping.file[0] != 0 ? mapping.file.data() : "memory without a file");
  if (found) {
    say("(+");
    say_hex(address - mapping.base);
    say(")");
  }
  say(" [");
  say_hex(address);
  say("]\n");
  return true;
}

// The registers of what was interrupted.
std::uintptr_t instruction(const ucontext_t& context) {
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
}
std::uintptr_t stack(const ucontext_t& context) {
  return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
}

// Where calls cannot be followed, what lies on the stack and may be one.
void say_stack(std::uintptr_t from) {
  Mapping mapping;
  if (!Maps().find(from, mapping)) {
    return;
  }
  const std::uintptr_t end = std::min(mapping.end, from + kStackRead);
  int said = 0;
  for (std::uintptr_t at = from; at + sizeof(std::uintptr_t) <= end && said < kCalls; at += sizeof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    std::memcpy(&word, reinterpret_cast<const void*>(at), sizeof(word));  // NOLINT: an address is all there is
    said += say_place(word, true) ? 1 : 0;
  }
}

std::atomic<pid_t> g_reporting{0};  // the thread that has a fault; a fault of its report is no news
std::atomic<int> g_faults{0};
std::atomic<int> g_first{0};  // its signal
std::atomic<std::uintptr_t> g_stack{0};

[[noreturn]] void end() {
  const int signal = g_first.load();
  std::signal(signal, SIG_DFL);
  ::raise(signal);  // it is not blocked
  ::_exit(128 + signal);
}

void report(int signal, siginfo_t*, void* context) {
  pid_t nobody = 0;
  const bool first = g_reporting.compare_exchange_strong(nobody, ::gettid());
  while (!first && nobody != ::gettid()) {
    ::pause();  // another thread ends the process
  }
  switch (g_faults.fetch_add(1)) {
    case 0: {
      const auto& there = *static_cast<const ucontext_t*>(context);
      g_first.store(signal);
      g_stack.store(stack(there));
      const char* const name = ::sigdescr_np(signal);
      say("tessera: ended by a fault of its own: ");
      say(name != nullptr ? name : "a signal");
      say(". Please report it with these calls, innermost first (addr2line -Cfe FILE +OFFSET names their lines):\n");
      say_place(instruction(there), false);
      // Reads code where it believes some, so that it faults itself after a jump to nowhere.
      std::array<void*, kCalls> calls{};
      const int count = ::backtrace(calls.data(), kCalls);
      ::backtrace_symbols_fd(calls.data(), count, STDERR_FILENO);
      break;
    }
    case 1:
      say("They cannot be followed from there. What the stack has of places in code:\n");
      say_stack(g_stack.load());
      break;
    default:
      break;
  }
  end();
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
    action.sa_sigaction = report;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;  // a fault of the report itself comes through, too
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace tessera::apps
