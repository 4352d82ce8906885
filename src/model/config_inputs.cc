// parameters.convert_inputs: inputs that requests give in another form than the file has them.
#include <algorithm>
#include <string>
#include <utility>

#include "model/config_steps.h"

namespace tessera::model {
namespace {

constexpr std::string_view kChannelsLast = ":HWC";

Error wrong_conversion(const std::string& what) { return invalid_argument("parameters.convert_inputs: " + what); }

// Of [channels, height, width], with a batch dimension before or not.
Shape with_channels_last(const Shape& shape) {
  Shape out = shape;
  const std::size_t first = shape.rank() - 3;
  out[first] = shape[first + 1];
  out[first + 1] = shape[first + 2];
  out[first + 2] = shape[first];
  return out;
}

Result<engine::InputForm> parse_form(const std::string& name, std::string_view text) {
  engine::InputForm form;
  form.channels_last = text.ends_with(kChannelsLast);
  const std::string type(text.substr(0, text.size() - (form.channels_last ? kChannelsLast.size() : 0)));
  const auto dtype = dtype_from_protocol_name(type);
  const bool possible =
      dtype == DType::kFp32 || dtype == DType::kUint8 || (dtype == DType::kFp16 && form.channels_last);
  if (!possible) {
    return wrong_conversion("'" + name + "=" + std::string(text.substr(0, 80)) +
                            "' is none of FP32, UINT8, FP32:HWC, UINT8:HWC, FP16:HWC");
  }
  form.dtype = *dtype;
  return form;
}

Status check_form(const TensorSpec& input, const engine::InputForm& form) {
  if (input.dtype != DType::kFp16) {
    return wrong_conversion("input '" + input.name + "' is " + std::string(protocol_name(input.dtype)) +
                            " in the model file; only inputs of FP16 are converted");
  }
  constexpr std::int64_t kMostChannels = 255;
  const std::size_t rank = input.shape.rank();
  const bool one_image = rank == 3 || (rank == 4 && input.shape[0] < 2);  // to a row: a batch dimension, or one of 1
  if (form.channels_last && (!one_image || input.shape[rank - 3] < 1 || input.shape[rank - 2] < 1 ||
                             input.shape[rank - 1] < 1 || input.shape[rank - 3] > kMostChannels)) {
    return wrong_conversion("input '" + input.name + "' is " + input.shape.to_string() +
                            " in the model file; HWC needs [channels, height, width], fixed, of at most 255 channels");
  }
  return ok_status();
}

}  // namespace

Result<std::map<std::string, engine::InputForm>> read_input_forms(const inference::ModelConfig& proto,
                                                                  const engine::FileSignature& file,
                                                                  const ConfigDefaults& defaults) {
  std::map<std::string, engine::InputForm> forms;
  const auto parameter = proto.parameters().find("convert_inputs");
  if (parameter == proto.parameters().end()) {
    return forms;
  }
  if (defaults.device_kind == "host") {
    return unsupported(
        "parameters.convert_inputs: inputs are converted on GPUs, and this server runs models on the processor");
  }
  const std::string_view text = parameter->second.string_value();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view one = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = one.rfind('=');
    if (equals == std::string_view::npos || equals == 0) {
      return wrong_conversion("'" + std::string(one.substr(0, 80)) + "' is not INPUT=TYPE, as in image=UINT8:HWC");
    }
    const std::string name(one.substr(0, equals));
    const auto input =
        std::find_if(file.inputs.begin(), file.inputs.end(), [&](const TensorSpec& spec) { return spec.name == name; });
    if (input == file.inputs.end()) {
      return wrong_conversion("the model file has no input '" + name.substr(0, 80) + "'");
    }
    TESSERA_ASSIGN_OR_RETURN(const engine::InputForm form, parse_form(name, one.substr(equals + 1)));
    TESSERA_RETURN_IF_ERROR(check_form(*input, form));
    if (!forms.emplace(name, form).second) {
      return wrong_conversion("input '" + name + "' stands twice");
    }
  }
  return forms;
}

engine::FileSignature as_given(const engine::FileSignature& file, const std::map<std::string, engine::InputForm>& forms,
                               inference::ModelConfig& completed) {
  engine::FileSignature given = file;
  for (TensorSpec& spec : given.inputs) {
    const auto form = forms.find(spec.name);
    if (form == forms.end()) {
      continue;
    }
    spec.dtype = form->second.dtype;
    const Shape before = spec.shape;
    spec.shape = form->second.channels_last ? with_channels_last(before) : before;
    for (auto& input : *completed.mutable_input()) {
      if (input.name() != spec.name) {
        continue;
      }
      if (form->second.channels_last && input.format() == inference::ModelInput::FORMAT_NCHW) {
        input.set_format(inference::ModelInput::FORMAT_NHWC);
      }
      if (input.data_type() == inference::TYPE_FP16) {
        input.set_data_type(data_type_of(spec.dtype));
      }
      const auto dims = before.dims().subspan(before.rank() - std::min<std::size_t>(before.rank(), input.dims_size()));
      if (form->second.channels_last && input.dims_size() >= 3 &&
          std::equal(input.dims().begin(), input.dims().end(), dims.begin(), dims.end())) {
        const auto last = spec.shape.dims().subspan(before.rank() - static_cast<std::size_t>(input.dims_size()));
        std::copy(last.begin(), last.end(), input.mutable_dims()->begin());
      }
    }
  }
  return given;
}

}  // namespace tessera::model
