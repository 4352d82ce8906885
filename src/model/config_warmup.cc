#include <algorithm>

#include "model/config_steps.h"
#include "model/confined_path.h"

namespace tessera::model {
namespace {

Result<WarmupSample::Input> read_input(const std::string& where, const std::string& name,
                                       const inference::ModelWarmup::Input& proto, const TensorSpec& spec) {
  using Proto = inference::ModelWarmup::Input;
  const std::string field = where + ".inputs '" + name + "'";
  if (proto.data_type() != data_type_of(spec.dtype)) {
    return invalid_argument(field + ": data_type: is " + std::to_string(proto.data_type()) + ", but the input has " +
                            inference::DataType_Name(data_type_of(spec.dtype)));
  }
  TESSERA_ASSIGN_OR_RETURN(const Shape shape,
                           Shape::from({proto.dims().data(), static_cast<std::size_t>(proto.dims_size())}));
  if (!shape.matches(spec.shape) || !shape.elements()) {
    return invalid_argument(field + ": dims: are " + shape.to_string() + ", but the input has " +
                            spec.shape.to_string());
  }
  WarmupSample::Input input{name, spec.dtype, shape, WarmupSample::Fill::kZero, {}};
  switch (proto.input_data_type_case()) {
    case Proto::kZeroData:
      break;
    case Proto::kRandomData:
      input.fill = WarmupSample::Fill::kRandom;
      break;
    case Proto::kInputDataFile:
      if (!is_plain_name(proto.input_data_file())) {
        return invalid_argument(field + ": input_data_file: must be a plain file name, got '" +
                                proto.input_data_file().substr(0, 80) + "'");
      }
      input.fill = WarmupSample::Fill::kFile;
      input.file = proto.input_data_file();
      break;
    case Proto::INPUT_DATA_TYPE_NOT_SET:
      return invalid_argument(field + ": says none of zero_data, random_data and input_data_file");
  }
  return input;
}

Result<WarmupSample> read_sample(const std::string& where, const inference::ModelWarmup& proto,
                                 const ModelSignature& signature) {
  WarmupSample sample;
  sample.name = proto.name();
  sample.count = std::max<std::uint32_t>(1, proto.count());
  sample.batch_size = std::max<std::uint32_t>(1, proto.batch_size());
  const auto most = static_cast<std::uint32_t>(signature.max_batch_size);
  if (proto.batch_size() > std::max<std::uint32_t>(1, most)) {
    return invalid_argument(where + ".batch_size: must be at most max_batch_size (" + std::to_string(most) + "), got " +
                            std::to_string(proto.batch_size()));
  }
  for (const auto& [name, input] : proto.inputs()) {
    if (std::none_of(signature.inputs.begin(), signature.inputs.end(),
                     [&, &n = name](const TensorSpec& spec) { return spec.name == n; })) {
      std::string text = where;
      text.append(".inputs: the model has no input '").append(name).append("'");
      return invalid_argument(std::move(text));
    }
  }
  std::uint64_t elements = 0;
  for (const TensorSpec& spec : signature.inputs) {
    const auto given = proto.inputs().find(spec.name);
    if (given == proto.inputs().end()) {
      return invalid_argument(where + ".inputs: '" + spec.name + "' is missing");
    }
    TESSERA_ASSIGN_OR_RETURN(auto input, read_input(where, spec.name, given->second, spec));
    // A BYTES element takes at least its length prefix.
    const std::uint64_t each = std::max<std::size_t>(4, size_of(spec.dtype)) * sample.batch_size;
    const auto count = static_cast<std::uint64_t>(*input.shape.elements());
    if (count > kMaxWarmupBytes / each || (elements += count * each) > kMaxWarmupBytes) {
      return invalid_argument(where + ": its inputs take more than " + std::to_string(kMaxWarmupBytes) + " bytes");
    }
    sample.inputs.push_back(std::move(input));
  }
  return sample;
}

}  // namespace

Result<std::vector<WarmupSample>> read_warmup(const inference::ModelConfig& proto, const ModelSignature& signature) {
  std::vector<WarmupSample> samples;
  std::size_t runs = 0;
  for (int i = 0; i < proto.model_warmup_size(); ++i) {
    const std::string where = "model_warmup[" + std::to_string(i) + "]";
    TESSERA_ASSIGN_OR_RETURN(WarmupSample sample, read_sample(where, proto.model_warmup(i), signature));
    runs += sample.count;
    if (runs > kMaxWarmupRuns) {
      return invalid_argument(where + ".count: more than " + std::to_string(kMaxWarmupRuns) + " runs in all");
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace tessera::model
