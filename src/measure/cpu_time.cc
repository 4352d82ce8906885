#include "measure/cpu_time.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace tessera::measure {
namespace {

namespace fs = std::filesystem;

// "TID (NAME) STATE ..." of proc(5), with user and system time as the 12th and 13th after the name.
double seconds_in(const std::string& stat) {
  const std::size_t name_ends = stat.rfind(')');
  if (name_ends == std::string::npos) {
    return 0;
  }
  constexpr int kBefore = 11;
  std::istringstream rest(stat.substr(name_ends + 1));
  std::string skipped;
  for (int i = 0; i < kBefore; ++i) {
    rest >> skipped;
  }
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return rest ? (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK)) : 0;
}

std::string name_in(const std::string& stat) {
  const std::size_t from = stat.find('(');
  const std::size_t to = stat.rfind(')');
  return from == std::string::npos || to == std::string::npos ? "" : stat.substr(from + 1, to - from - 1);
}

}  // namespace

double process_cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double busiest_thread_seconds(std::string_view name_end) {
  double most = 0;
  std::error_code failed;  // threads come and go meanwhile
  for (fs::directory_iterator task("/proc/self/task", failed), end; !failed && task != end; task.increment(failed)) {
    std::ifstream file(task->path() / "stat");
    std::string stat;
    std::getline(file, stat, '\0');  // of a thread that has ended since, nothing is read
    if (name_in(stat).ends_with(name_end)) {
      most = std::max(most, seconds_in(stat));
    }
  }
  return most;
}

}  // namespace tessera::measure
