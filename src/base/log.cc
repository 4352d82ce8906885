#include "base/log.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace tessera {
namespace {

// The process's logger lies in spdlog's registry; its name says which form the lines have.
constexpr const char* kTextLogger = "tessera.text";
constexpr const char* kJsonLogger = "tessera.json";
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> make_logger(const char* name, const char* pattern, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  logger->set_level(level_of(level));
  logger->flush_on(spdlog::level::trace);
  return logger;
}

// Length of the well-formed UTF-8 sequence at `at`; 0 where there is none (RFC 3629: no overlong forms, no surrogates).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || text.size() - at < length) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return 0;
    }
  }
  const bool bad = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
                   (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F);
  return bad ? 0 : length;
}

// Text that a peer may have chosen: no line break, quote or broken UTF-8 of it reaches the log as it is.
void append_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      out += "\\ufffd";
      ++at;
    } else if (byte < 0x20 || byte == 0x7F) {
      (((out += "\\u00") += kHex[byte >> 4]) += kHex[byte & 15]);
      ++at;
    } else {
      if (byte == '"' || byte == '\\') {
        out += '\\';
      }
      out.append(text, at, length);
      at += length;
    }
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') {
      return false;
    }
  }
  return !text.empty();
}

void append_number(std::string& out, double value, bool json) {
  if (json && !std::isfinite(value)) {
    out += "null";  // JSON has no word for it
    return;
  }
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void append_value(std::string& out, const LogField& field, bool json) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    if (!json && is_plain(*text)) {
      out += *text;
    } else {
      append_quoted(out, *text);
    }
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    append_number(out, *real, json);
  } else {
    out += std::to_string(std::get<std::int64_t>(field.value));
  }
}

std::string text_line(std::string_view message, std::initializer_list<LogField> fields) {
  std::string line;
  append_escaped(line, message);
  for (const LogField& field : fields) {
    ((line += ' ') += field.key) += '=';
    append_value(line, field, false);
  }
  return line;
}

std::string json_line(std::string_view message, std::initializer_list<LogField> fields) {
  std::string line = "\"message\":";
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.key);
    line += ':';
    append_value(line, field, true);
  }
  return line;
}

}  // namespace

void set_up_log(LogFormat format, LogLevel level) {
  spdlog::drop(kTextLogger);
  spdlog::drop(kJsonLogger);
  const bool json = format == LogFormat::kJson;
  spdlog::register_logger(make_logger(json ? kJsonLogger : kTextLogger, json ? kJsonPattern : kTextPattern, level));
}

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  const auto wanted = level_of(level);
  if (const auto logger = spdlog::get(kJsonLogger)) {
    if (logger->should_log(wanted)) {
      logger->log(wanted, spdlog::string_view_t(json_line(message, fields)));
    }
    return;
  }
  auto logger = spdlog::get(kTextLogger);
  if (!logger) {
    logger = make_logger(kTextLogger, kTextPattern, LogLevel::kWarning);
  }
  if (logger->should_log(wanted)) {
    logger->log(wanted, spdlog::string_view_t(text_line(message, fields)));
  }
}

}  // namespace tessera
