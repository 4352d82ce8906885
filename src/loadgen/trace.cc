#include "loadgen/trace.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace tessera::loadgen {
namespace {

constexpr std::int32_t kMaxRows = 65536;
constexpr double kMaxSeconds = 1e7;  // 115 days

// One line and where it stands.
class Line {
 public:
  Line(std::string_view text, std::string_view file, std::size_t number) : text_(text), file_(file), number_(number) {}

  // The next field, and whether there is one.
  bool field(std::string_view& out) {
    if (next_ > text_.size()) {
      return false;
    }
    begin_ = next_;
    const std::size_t comma = std::min(text_.find(',', begin_), text_.size());
    out = text_.substr(begin_, comma - begin_);
    next_ = comma + 1;
    return true;
  }
  // About the field last read; `missing`: about what should follow.
  Error error(const std::string& what, bool missing = false) const {
    const std::size_t column = (missing ? text_.size() : begin_) + 1;
    return invalid_argument(std::string(file_) + ":" + std::to_string(number_) + ":" + std::to_string(column) + ": " +
                            what);
  }

 private:
  std::string_view text_;
  std::string_view file_;
  std::size_t number_;
  std::size_t begin_ = 0;
  std::size_t next_ = 0;
};

template <typename T>
bool read(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

using Lists = std::map<std::string, std::vector<ScheduledArrival>, std::less<>>;

Status take(Line line, Duration& last, Lists& lists) {
  std::string_view field;
  double seconds = 0;
  line.field(field);
  if (!read(field, seconds) || !(seconds >= 0) || seconds > kMaxSeconds) {
    return line.error("'" + std::string(field.substr(0, 40)) + "' is not a time in seconds from 0 to 1e7");
  }
  const Duration at(std::llround(seconds * 1e9));
  if (at < last) {
    return line.error("a time before that of the line above; sort the trace by its first column");
  }
  std::string_view model;
  if (!line.field(model)) {
    return line.error("no model after the time; a line is SECONDS,MODEL[,ROWS]", true);
  }
  if (model.empty()) {
    return line.error("the model has no name");
  }
  std::int32_t rows = 1;
  if (line.field(field) && (!read(field, rows) || rows < 1 || rows > kMaxRows)) {
    return line.error("'" + std::string(field.substr(0, 40)) + "' is not a number of rows from 1 to 65536");
  }
  if (line.field(field)) {
    return line.error("a fourth column; a line is SECONDS,MODEL[,ROWS]");
  }
  auto list = lists.find(model);
  if (list == lists.end()) {
    if (lists.size() == kMaxTraceModels) {
      return line.error("more than 10000 models");
    }
    list = lists.emplace(model, std::vector<ScheduledArrival>()).first;
  }
  list->second.push_back({at, rows});
  last = at;
  return ok_status();
}

}  // namespace

Result<std::map<std::string, Trace>> parse_trace(std::string_view text, std::string_view file) {
  if (text.size() > kMaxTraceBytes) {
    return Error(ErrorCode::kTooLarge, std::string(file) + ": larger than 64 MB; cut the trace");
  }
  Lists lists;
  Duration last{0};
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
    }
    const bool head = number == 1 && line.substr(0, 8) == "seconds,";
    if (line.empty() || line.front() == '#' || head) {
      continue;
    }
    TESSERA_RETURN_IF_ERROR(take(Line(line, file, number), last, lists));
  }
  if (lists.empty()) {
    return invalid_argument(std::string(file) + ": no arrivals; a line is SECONDS,MODEL[,ROWS]");
  }
  if (last == Duration::zero()) {
    return invalid_argument(std::string(file) + ": all arrivals at 0 s: no rate can be told");
  }
  std::map<std::string, Trace> traces;
  for (auto& [model, list] : lists) {
    traces[model] = Trace{std::make_shared<const std::vector<ScheduledArrival>>(std::move(list)), last};
  }
  return traces;
}

}  // namespace tessera::loadgen
