// The process's log: one line an event, as text or JSON, to standard error.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tessera {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A key with its value, so that the JSON form needs no parsing of sentences.
struct LogField {
  std::string_view key;
  std::variant<std::string, double, std::int64_t> value;
};

// Not thread-safe; called once by main before threads start. Without it, warnings and errors are printed as text.
void set_up_log(LogFormat format, LogLevel level);

// Thread-safe. Never on the request path of a request that succeeds.
void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace tessera
