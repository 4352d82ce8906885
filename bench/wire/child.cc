#include "child.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tessera::bench {
namespace {

[[noreturn]] void give_up_on(const std::string& command, const char* what) {
  std::fprintf(stderr, "%s: %s\n", command.c_str(), what);
  std::exit(1);
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const std::string& ready) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    give_up_on(command.front(), "no pipe");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const int failed = posix_spawn(&pid_, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  output_ = ends[0];
  if (failed != 0) {
    give_up_on(command.front(), "cannot be started");
  }
  std::string line;
  for (;;) {
    pollfd waiting{output_, POLLIN, 0};
    char letter = 0;
    if (poll(&waiting, 1, 30000) <= 0 || read(output_, &letter, 1) != 1) {
      give_up_on(command.front(), "did not become ready");
    }
    if (letter != '\n') {
      line += letter;
    } else if (line.rfind(ready, 0) == 0) {
      ready_line_ = line;
      return;
    } else {
      line.clear();
    }
  }
}

Child::~Child() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  close(output_);
}

std::string Child::value(const std::string& key) const {
  std::istringstream words(ready_line_);
  for (std::string word; words >> word;) {
    if (word.rfind(key + "=", 0) == 0) {
      return word.substr(key.size() + 1);
    }
  }
  give_up_on(ready_line_, "lacks a port");
}

std::chrono::duration<double> Child::cpu_time() const {
  std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) {
    fields >> skipped;
  }
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return std::chrono::duration<double>((user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace tessera::bench
