#include <boost/json.hpp>
#include <cmath>

#include "model/config.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace json = boost::json;

json::object object_of(const Message& message);

// One value of a field; `index` counts from 0 where the field is repeated and is -1 where it is not.
json::value value_of(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection->GetInt32(message, field) : reflection->GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? reflection->GetInt64(message, field) : reflection->GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? reflection->GetUInt32(message, field) : reflection->GetRepeatedUInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? reflection->GetUInt64(message, field) : reflection->GetRepeatedUInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? reflection->GetBool(message, field) : reflection->GetRepeatedBool(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? reflection->GetFloat(message, field) : reflection->GetRepeatedFloat(message, field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection->GetDouble(message, field) : reflection->GetRepeatedDouble(message, field, index);
    case FieldDescriptor::CPPTYPE_STRING:
      return json::string(one ? reflection->GetString(message, field)
                              : reflection->GetRepeatedString(message, field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return json::string(
          (one ? reflection->GetEnum(message, field) : reflection->GetRepeatedEnum(message, field, index))->name());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return object_of(one ? reflection->GetMessage(message, field)
                           : reflection->GetRepeatedMessage(message, field, index));
  }
  return nullptr;
}

std::string key_text(const json::value& key) {
  return key.is_string() ? std::string(key.get_string()) : json::serialize(key);
}

json::value map_of(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  std::map<std::string, json::value> sorted;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    sorted[key_text(value_of(entry, field->message_type()->map_key(), -1))] =
        value_of(entry, field->message_type()->map_value(), -1);
  }
  json::object object;
  for (auto& [key, value] : sorted) {
    object[key] = std::move(value);
  }
  return object;
}

// Plain fields and lists are there even when empty, messages and choices only when set: clients look for the presence
// of dynamic_batching, sequence_batching and the like. Numbers of 64 bits stand as numbers, as in Triton's answers.
json::object object_of(const Message& message) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  json::object object;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->is_map()) {
      object[field->name()] = map_of(message, field);
    } else if (field->is_repeated()) {
      json::array list;
      for (int j = 0; j < reflection->FieldSize(message, field); ++j) {
        list.push_back(value_of(message, field, j));
      }
      object[field->name()] = std::move(list);
    } else if (!field->has_presence() || reflection->HasField(message, field)) {
      object[field->name()] = value_of(message, field, -1);
    }
  }
  return object;
}

}  // namespace

std::string config_json(const inference::ModelConfig& proto) { return json::serialize(object_of(proto)); }

}  // namespace tessera::model
