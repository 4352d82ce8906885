// A child process with a line of output to wait for: servers that a benchmark measures.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tessera::bench {

// Owned by one thread. The process gets SIGTERM and is reaped when this ends.
class Child {
 public:
  // Runs `command`; returns when it printed a line that starts with `ready`. Exits the benchmark with a sentence where
  // it does not within half a minute.
  Child(const std::vector<std::string>& command, const std::string& ready);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const std::string& ready_line() const { return ready_line_; }
  // "key=" of the line that said ready.
  std::string value(const std::string& key) const;
  std::chrono::duration<double> cpu_time() const;  // user and system, of all its threads
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string ready_line_;
};

}  // namespace tessera::bench
