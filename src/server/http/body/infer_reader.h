// What the events of a JSON parser mean in an inference request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/request.h"
#include "server/http/body/infer_json.h"
#include "server/http/body/tensor_builder.h"
#include "server/parameters.h"

namespace tessera::server::http {

// Told of each event in order; a stack of places says what the next value means. The parser's own limit on depth keeps
// that stack within its bounds. Errors are kInvalidArgument for what the fields say, and those of the lease. Owned by
// one connection.
class InferReader {
 public:
  // Parameters go into `request`. `lease` outlives this object.
  InferReader(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes)
      : request_(request), lease_(lease), max_tensor_bytes_(max_tensor_bytes) {}

  JsonRequest result;

  Status begin_object();
  Status end_object();
  Status begin_array();
  Status end_array();
  // Keys and strings come in parts; `size` is that of all parts so far.
  void key(std::string_view part, bool last);
  Status string(std::string_view part, std::size_t size, bool last);
  template <typename Integer>
  Status integer(Integer value) {
    return place() == Place::kData ? filled(builder().add_integer(value)) : scalar(value);
  }
  // `text` is the number as it was written.
  Status number(double value, std::string_view text) {
    return place() == Place::kData ? filled(builder().add_number(text)) : scalar(value);
  }
  Status boolean(bool value) { return place() == Place::kData ? filled(builder().add_bool(value)) : scalar(value); }
  Status null();

 private:
  // The fields of the protocol, so that a key is compared once.
  enum class Key : std::uint8_t {
    kOther,
    kId,
    kParameters,
    kInputs,
    kOutputs,
    kName,
    kShape,
    kDatatype,
    kData,
  };

  enum class Place : std::uint8_t {
    kRoot,
    kParameters,
    kInputs,
    kInput,
    kShape,
    kInputParameters,
    kData,
    kOutputs,
    kOutput,
    kOutputParameters,
    kIgnored,
  };

  static Key key_of(std::string_view text);

  Place place() const { return depth_ == 0 ? Place::kIgnored : stack_[depth_ - 1]; }
  bool in_object() const;
  Status push(Place place);
  TensorBuilder& builder() { return *result.inputs.back().data; }
  // The outcome of adding a value, with the input's name where the value was wrong.
  Status filled(const Status& added) { return added.ok() && !builder().overfull() ? ok_status() : not_filled(added); }
  Status not_filled(const Status& added) const;
  // Names the field that the current value belongs to.
  Status unexpected(std::string_view what) const;

  Status begin_input_array();
  static Status expect_elements(JsonInput& input);
  // A value outside of `data`.
  Status scalar(const ParameterValue& value);
  Status other_scalar() const;
  Status root_scalar(const ParameterValue& value);
  Status set_name(const ParameterValue& value, std::string& name);
  Status input_scalar(const ParameterValue& value);
  Status add_dimension(const ParameterValue& value);
  Status input_parameter(const ParameterValue& value);
  Status output_parameter(const ParameterValue& value);

  InferRequest& request_;
  const Lease& lease_;
  const std::size_t max_tensor_bytes_;

  std::array<Place, kMaxJsonDepth + 1> stack_{};
  std::size_t depth_ = 0;
  Key key_ = Key::kOther;
  std::string key_name_;  // the key whose value is read
  std::string key_text_;  // parts of the key that is being read
  std::string string_;    // parts of a string outside of data
  bool inputs_seen_ = false;
  bool outputs_seen_ = false;
  bool named_ = false;  // the input or output in progress has its name
  SharedMemoryParameters output_memory_;
};

}  // namespace tessera::server::http
