#include "apps/core_list.h"

#include <charconv>
#include <string>

#include "base/affinity.h"

namespace tessera::apps {
namespace {

// Takes a number off the front of `text`.
bool take_number(std::string_view& text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || out < 0 || out >= CpuSet::kMaxCpus) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<std::vector<int>> parse_core_list(std::string_view text) {
  const std::string whole(text);
  const auto wrong = [&] { return invalid_argument("'" + whole + "' is no list of processors like 0,2-5"); };
  std::vector<int> cores;
  do {
    int first = 0;
    if (!take_number(text, first)) return wrong();
    int last = first;
    if (take(text, '-') && (!take_number(text, last) || last < first)) return wrong();
    for (int core = first; core <= last; ++core) cores.push_back(core);
  } while (take(text, ','));
  if (!text.empty()) return wrong();
  return cores;
}

}  // namespace tessera::apps
