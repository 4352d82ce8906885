#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <boost/json.hpp>
#include <cctype>

#include "model/config.h"
#include "model/utf8.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// The last name of a field that stands before (line, column), both counted from 0: what a wrong value belongs to.
std::string field_before(std::string_view text, int line, int column) {
  std::size_t end = 0;
  for (int i = 0; i < line && end != std::string_view::npos; ++i) {
    const std::size_t newline = text.find('\n', end);
    end = newline == std::string_view::npos ? newline : newline + 1;
  }
  if (end == std::string_view::npos) {
    return {};
  }
  end = std::min(text.size(), end + static_cast<std::size_t>(std::max(column, 0)) + 1);
  std::string last;
  for (std::size_t at = 0; at < end;) {
    if (text[at] == '#') {
      at = std::min(text.find('\n', at), end);
    } else if (text[at] == '"' || text[at] == '\'') {
      const char quote = text[at];
      for (++at; at < end && text[at] != quote && text[at] != '\n'; ++at) {
        at += text[at] == '\\' ? 1 : 0;
      }
      ++at;
    } else if (std::isalpha(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_') {
      const std::size_t start = at;
      while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_')) {
        ++at;
      }
      std::size_t next = at;
      while (next < text.size() && std::isspace(static_cast<unsigned char>(text[next])) != 0) {
        ++next;
      }
      if (next < text.size() && (text[next] == ':' || text[next] == '{' || text[next] == '<')) {
        last = text.substr(start, std::min<std::size_t>(at - start, 80));
      }
    } else {
      ++at;
    }
  }
  return last;
}

// Keeps the first error: what follows it is seldom of use. Owned by one thread.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(std::string_view text) : text_(text) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!message_.empty()) {
      return;
    }
    message_ = line < 0 ? "config" : "config line " + std::to_string(line + 1);
    if (const std::string field = line < 0 ? std::string() : field_before(text_, line, column); !field.empty()) {
      message_ += ", field '" + field + "'";
    }
    message_ += ": " + message.substr(0, 300);
  }
  void AddWarning(int /*line*/, google::protobuf::io::ColumnNumber /*column*/, const std::string& /*text*/) override {}

  std::string message() const { return message_.empty() ? "config: malformed" : message_; }

 private:
  std::string_view text_;
  std::string message_;
};

// Escapes in the text may still have made strings that protobuf could not send on.
Status check_strings(const Message& message, const std::string& path) {
  std::vector<const FieldDescriptor*> fields;
  const auto* reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string name = path.empty() ? field->name() : path + "." + field->name();
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const Message& nested = field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                     : reflection->GetMessage(message, field);
        TESSERA_RETURN_IF_ERROR(check_strings(nested, name));
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        const std::string value = field->is_repeated() ? reflection->GetRepeatedString(message, field, i)
                                                       : reflection->GetString(message, field);
        if (!is_utf8(value)) {
          return invalid_argument("config field '" + name + "' is no UTF-8 text");
        }
      }
    }
  }
  return ok_status();
}

Status check_size(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return Error(ErrorCode::kTooLarge,
                 "config has " + std::to_string(text.size()) + " bytes, more than " + std::to_string(kMaxConfigBytes));
  }
  if (!is_utf8(text)) {
    return invalid_argument("config is no UTF-8 text");
  }
  return ok_status();
}

}  // namespace

Result<WrittenConfig> parse_config_text(std::string_view text) {
  TESSERA_RETURN_IF_ERROR(check_size(text));
  auto proto = std::make_shared<inference::ModelConfig>();
  FirstError errors(text);
  TextFormat::ParseInfoTree locations;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.WriteLocationsTo(&locations);
  parser.SetRecursionLimit(kMaxConfigDepth);
  if (!parser.ParseFromString(std::string(text), proto.get())) {
    return invalid_argument(errors.message());
  }
  TESSERA_RETURN_IF_ERROR(check_strings(*proto, ""));
  const FieldDescriptor* batch =
      inference::ModelConfig::descriptor()->FindFieldByNumber(inference::ModelConfig::kMaxBatchSizeFieldNumber);
  const bool says_batch_size = locations.GetLocation(batch, -1).line >= 0;
  return WrittenConfig{std::move(proto), says_batch_size};
}

Result<WrittenConfig> parse_config_json(std::string_view json) {
  TESSERA_RETURN_IF_ERROR(check_size(json));
  boost::json::parse_options options;
  options.max_depth = kMaxConfigDepth;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  const std::size_t read = parser.write_some(json.data(), json.size(), error);
  if (!error && read == json.size()) {
    parser.finish(error);
  }
  if (error || read != json.size()) {
    const auto line = 1 + std::count(json.begin(), json.begin() + static_cast<std::ptrdiff_t>(read), '\n');
    return invalid_argument("config line " + std::to_string(line) + ": " +
                            (error ? error.message() : std::string("text after the end of the JSON value")));
  }
  const boost::json::value value = parser.release();
  if (!value.is_object()) {
    return invalid_argument("config is not a JSON object");
  }
  const bool says_batch_size =
      value.get_object().contains("max_batch_size") || value.get_object().contains("maxBatchSize");

  auto proto = std::make_shared<inference::ModelConfig>();
  const auto status = google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, proto.get(), {});
  if (!status.ok()) {
    return invalid_argument("config: " + std::string(status.message()).substr(0, 300));
  }
  TESSERA_RETURN_IF_ERROR(check_strings(*proto, ""));
  return WrittenConfig{std::move(proto), says_batch_size};
}

}  // namespace tessera::model
