// The steps of complete_config. Internal to model/.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model_config.pb.h"

namespace tessera::model {

// Refuses, by the field's name, every setting that would have an effect elsewhere and has none here.
Status refuse_unsupported(const inference::ModelConfig& proto, const ConfigDefaults& defaults);

// What parameters.convert_inputs says. Error: as complete_config.
Result<std::map<std::string, engine::InputForm>> read_input_forms(const inference::ModelConfig& proto,
                                                                  const engine::FileSignature& file,
                                                                  const ConfigDefaults& defaults);
// The file as requests see it: its inputs in those forms, also where the configuration has written them as the file
// does.
engine::FileSignature as_given(const engine::FileSignature& file, const std::map<std::string, engine::InputForm>& forms,
                               inference::ModelConfig& completed);

// Completes input, output and max_batch_size, and says what requests are checked against.
Result<ModelSignature> complete_tensors(const WrittenConfig& written, const engine::FileSignature& file,
                                        inference::ModelConfig& completed);

// What parameters.shape_buckets says. Error: as complete_config.
Result<ShapeBuckets> read_shape_buckets(const inference::ModelConfig& proto, const ModelSignature& signature);
// The sample in one of the shapes that there are. Error: it has none, or a file's bytes would have to be padded.
Status round_up(const ShapeBuckets& buckets, const ModelSignature& signature, WarmupSample& sample);

// Completes instance_group; the number of lanes.
Result<std::uint16_t> complete_instances(std::string_view name, const ConfigDefaults& defaults,
                                         inference::ModelConfig& completed);

// Reads version_policy, or completes it.
Result<VersionPolicy> read_version_policy(const inference::ModelConfig& proto);

// Reads dynamic_batching into `params`.
Status read_batching(const inference::ModelConfig& proto, sched::ModelParams& params);

// 1, 2, 4, ..., max_batch_size and the preferred sizes; {1} where max_batch_size is 0.
std::vector<std::int32_t> bucket_sizes(std::int32_t max_batch_size, const std::vector<std::int32_t>& preferred);

// Reads `parameters` into `config`: Tessera's keys, and those of Triton's ONNX Runtime backend that ask for something.
Status read_parameters(const inference::ModelConfig& proto, const ConfigDefaults& defaults, ModelConfig& config);

Result<std::vector<WarmupSample>> read_warmup(const inference::ModelConfig& proto, const ModelSignature& signature);

DType dtype_of(inference::DataType type);  // TESSERA_CHECKs that it is a valid one
inference::DataType data_type_of(DType dtype);

}  // namespace tessera::model
