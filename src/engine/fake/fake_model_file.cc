#include "engine/fake/fake_model_file.h"

#include <charconv>
#include <chrono>
#include <fstream>
#include <utility>

namespace tessera::engine {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Takes the first word off `rest`.
std::string_view take_word(std::string_view& rest) {
  rest = trimmed(rest);
  const std::string_view word = rest.substr(0, rest.find_first_of(kBlanks));
  rest = trimmed(rest.substr(word.size()));
  return word;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() ? std::optional<T>(value) : std::nullopt;
}

std::optional<Duration> duration(std::string_view text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  const auto value = number<std::int64_t>(text.substr(0, digits));
  const std::string_view unit = digits == std::string_view::npos ? std::string_view() : text.substr(digits);
  constexpr std::int64_t kLongest = 3'600'000'000;  // an hour in microseconds
  if (!value || *value > kLongest) {
    return std::nullopt;
  }
  if (unit == "us") {
    return std::chrono::microseconds(*value);
  }
  if (unit == "s" && *value <= kLongest / 1'000'000) {
    return std::chrono::seconds(*value);
  }
  return unit == "ms" && *value <= kLongest / 1000 ? std::optional<Duration>(std::chrono::milliseconds(*value))
                                                   : std::nullopt;
}

std::optional<Shape> shape(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') {
    return std::nullopt;
  }
  text = text.substr(1, text.size() - 2);
  std::vector<std::int64_t> dims;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto dim = number<std::int64_t>(text.substr(0, comma));
    if (!dim || *dim < -1) {
      return std::nullopt;
    }
    dims.push_back(*dim);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  auto made = Shape::from(dims);
  return made.ok() ? std::optional<Shape>(*made) : std::nullopt;
}

// Reads line after line into one model. Owned by one thread.
class Parser {
 public:
  Status line(std::string_view text) {
    std::string_view rest = text.substr(0, text.find('#'));
    const std::string_view key = take_word(rest);
    if (key.empty()) {
      return {};
    }
    if (!versioned_) {
      versioned_ = key == "tessera-fake" && rest == "1";
      return versioned_ ? Status() : Status(invalid_argument("the file does not begin with 'tessera-fake 1'"));
    }
    if (key == "input" || key == "output") {
      return tensor(key == "input", rest);
    }
    if (key == "latency") {
      return latency(rest);
    }
    if (key == "busy") {
      model_.spins = rest == "spin";
      return model_.spins || rest == "sleep" ? Status() : Status(invalid_argument("busy is spin or sleep"));
    }
    if (Duration* time = time_called(key)) {
      const auto read = duration(rest);
      if (!read) {
        return invalid_argument("a time looks like 20us or 5ms");
      }
      *time = *read;
      return {};
    }
    if (key == "captures") {
      model_.captures = true;
      return rest.empty() ? Status() : Status(invalid_argument("'captures' stands alone"));
    }
    if (key == "memory") {
      const auto megabytes = number<std::uint32_t>(rest);
      model_.memory = Bytes{std::uint64_t{megabytes.value_or(0)} << 20};
      return megabytes ? Status() : Status(invalid_argument("memory is a number of MB"));
    }
    return key == "fault" ? fault(rest) : Status(invalid_argument("unknown key '" + std::string(key) + "'"));
  }

  Result<FakeModelFile> take() {
    if (model_.signature.inputs.empty() || model_.signature.outputs.empty()) {
      return invalid_argument("a model has an input and an output");
    }
    model_.latency = sched::Profile(points_);
    return std::move(model_);
  }

 private:
  Duration* time_called(std::string_view key) {
    return key == "load_time"      ? &model_.load_time
           : key == "home_time"    ? &model_.home_time
           : key == "build_time"   ? &model_.build_time
           : key == "capture_time" ? &model_.capture_time
                                   : nullptr;
  }

  Status tensor(bool is_input, std::string_view rest) {
    TensorSpec spec;
    spec.name = take_word(rest);
    const auto dtype = dtype_from_protocol_name(take_word(rest));
    const auto dims = shape(take_word(rest));
    if (spec.name.empty() || !dtype || !dims) {
      return invalid_argument("a tensor looks like: input INPUT0 INT32 [-1,16]");
    }
    spec.dtype = *dtype;
    spec.shape = *dims;
    if (is_input) {
      model_.signature.inputs.push_back(std::move(spec));
      return rest.empty() ? Status() : Status(invalid_argument("an input ends with its shape"));
    }
    std::optional<std::size_t> source;
    const std::string_view how = take_word(rest);
    for (std::size_t i = 0; how == "copy" && i < model_.signature.inputs.size(); ++i) {
      if (model_.signature.inputs[i].name == rest && model_.signature.inputs[i].dtype == spec.dtype) {
        source = i;
      }
    }
    if (!source && how != "zeros") {
      return invalid_argument("an output is zeros, or copy and an input of its type that stands above");
    }
    model_.signature.outputs.push_back(std::move(spec));
    model_.copied_from.push_back(source);
    return {};
  }

  Status latency(std::string_view rest) {
    const auto rows = number<std::int32_t>(take_word(rest));
    const auto processors = number<std::int32_t>(take_word(rest));
    const auto time = duration(rest);
    if (!rows || *rows < 1 || !processors || *processors < 1 || !time) {
      return invalid_argument("a latency looks like: latency 4 1 2000us");
    }
    points_.push_back({*rows, *processors, *time});
    return {};
  }

  Status fault(std::string_view rest) {
    const std::string_view where = take_word(rest);
    if (where == "load") {
      model_.load_fault = Error(ErrorCode::kInvalidArgument, std::string(rest));
    } else if (where == "home") {
      model_.home_fault = Error(ErrorCode::kInternal, std::string(rest));
    } else if (where == "capture") {
      const auto bucket = number<std::int32_t>(take_word(rest));
      if (!bucket || *bucket < 1) {
        return invalid_argument("a fault of captures looks like: fault capture 8 too large");
      }
      model_.first_capture_fault = *bucket;
      model_.capture_fault = Error(ErrorCode::kResourceExhausted, std::string(rest));
    } else if (where == "uncapturable") {
      model_.first_capture_fault = 1;
      model_.capture_fault = unsupported(std::string(rest));
    } else if (where == "refuse") {
      model_.refused_by_devices = true;
    } else if (where == "hang") {
      model_.hangs_at = number<std::uint8_t>(take_word(rest));
      model_.hangs_for = duration(rest);
      const bool good = model_.hangs_at && (rest.empty() || model_.hangs_for);
      return good ? Status() : Status(invalid_argument("a run that hangs looks like: fault hang 66 3s"));
    } else if (where == "run" || where == "lost") {
      const auto byte = number<std::uint8_t>(take_word(rest));
      if (!byte) {
        return invalid_argument("a fault of runs looks like: fault run 13 bad luck");
      }
      const ErrorCode code = where == "run" ? ErrorCode::kInternal : ErrorCode::kDeviceLost;
      model_.run_faults.push_back({*byte, Error(code, std::string(rest))});
    } else {
      return invalid_argument("unknown fault '" + std::string(where) + "'");
    }
    return {};
  }

  FakeModelFile model_;
  std::vector<sched::ProfilePoint> points_;
  bool versioned_ = false;
};

}  // namespace

Result<FakeModelFile> parse_fake_model(std::string_view text) {
  if (text.size() > kMaxFakeModelBytes) {
    return invalid_argument("a fake model has at most " + std::to_string(kMaxFakeModelBytes) + " bytes");
  }
  Parser parser;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (const Status read = parser.line(text.substr(0, end)); !read) {
      return read.error().in("line " + std::to_string(number));
    }
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return parser.take();
}

Result<FakeModelFile> read_fake_model(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return not_found("cannot read '" + file.filename().string() + "'");
  }
  std::string text(kMaxFakeModelBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return parse_fake_model(text);
}

}  // namespace tessera::engine
