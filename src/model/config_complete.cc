#include "model/config_steps.h"
#include "model/confined_path.h"

namespace tessera::model {
namespace {

Result<std::vector<std::pair<std::string, std::string>>> label_files(const inference::ModelConfig& proto) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& output : proto.output()) {
    if (output.label_filename().empty()) {
      continue;
    }
    if (!is_plain_name(output.label_filename())) {
      return invalid_argument("output '" + output.name() + "': label_filename: must be a plain file name, got '" +
                              output.label_filename().substr(0, 80) + "'");
    }
    files.emplace_back(output.name(), output.label_filename());
  }
  return files;
}

// What Triton fills in where nothing is said.
void fill_defaults(const FileChoice& files, inference::ModelConfig& completed) {
  completed.set_platform("onnxruntime_onnx");
  completed.set_backend("onnxruntime");
  if (completed.version_policy().policy_choice_case() == inference::ModelVersionPolicy::POLICY_CHOICE_NOT_SET) {
    completed.mutable_version_policy()->mutable_latest()->set_num_versions(files.versions.latest);
  }
  auto& optimization = *completed.mutable_optimization();
  for (auto* buffer : {optimization.mutable_input_pinned_memory(), optimization.mutable_output_pinned_memory()}) {
    if (buffer->ByteSizeLong() == 0) buffer->set_enable(true);
  }
}

}  // namespace

Result<FileChoice> choose_files(std::string_view name, const inference::ModelConfig& proto) {
  if (!proto.name().empty() && proto.name() != name) {
    return invalid_argument("name: is '" + proto.name().substr(0, 256) + "', but the model's folder is '" +
                            std::string(name) + "'");
  }
  if (!proto.default_model_filename().empty() && !is_plain_name(proto.default_model_filename())) {
    return invalid_argument("default_model_filename: must be a plain file name, got '" +
                            proto.default_model_filename().substr(0, 80) + "'");
  }
  FileChoice choice;
  TESSERA_ASSIGN_OR_RETURN(choice.versions, read_version_policy(proto));
  choice.default_model_file = proto.default_model_filename();
  return choice;
}

Result<ModelConfig> complete_config(std::string_view name, const WrittenConfig& written,
                                    const engine::FileSignature& file, const ConfigDefaults& defaults) {
  TESSERA_RETURN_IF_ERROR(refuse_unsupported(*written.proto, defaults));
  TESSERA_ASSIGN_OR_RETURN(const FileChoice files, choose_files(name, *written.proto));
  auto completed = std::make_shared<inference::ModelConfig>(*written.proto);
  completed->set_name(std::string(name));
  completed->mutable_parameters()->erase("uncaptured");  // what a server says, and no setting

  ModelConfig config;
  config.name = std::string(name);
  config.platform = "onnxruntime_onnx";
  config.default_model_file = files.default_model_file;
  config.versions = files.versions;
  TESSERA_ASSIGN_OR_RETURN(config.input_forms, read_input_forms(*completed, file, defaults));
  const engine::FileSignature given = as_given(file, config.input_forms, *completed);
  TESSERA_ASSIGN_OR_RETURN(config.signature, complete_tensors(written, given, *completed));
  TESSERA_ASSIGN_OR_RETURN(config.shape_buckets, read_shape_buckets(*completed, config.signature));
  const bool automatic = !written.says_batch_size && written.proto->max_batch_size() == 0;
  if (automatic && config.signature.max_batch_size > 1 && !completed->has_dynamic_batching()) {
    completed->mutable_dynamic_batching();
  }
  TESSERA_ASSIGN_OR_RETURN(config.params.lanes, complete_instances(name, defaults, *completed));
  config.params.name = config.name;
  config.params.max_batch_size = config.signature.max_batch_size;
  TESSERA_RETURN_IF_ERROR(read_batching(*completed, config.params));
  config.params.buckets = bucket_sizes(config.params.max_batch_size, config.params.preferred_batch_sizes);
  TESSERA_RETURN_IF_ERROR(read_parameters(*completed, defaults, config));
  TESSERA_ASSIGN_OR_RETURN(config.label_files, label_files(*completed));
  TESSERA_ASSIGN_OR_RETURN(config.warmup, read_warmup(*completed, config.signature));
  for (WarmupSample& sample : config.warmup) {
    TESSERA_RETURN_IF_ERROR(round_up(config.shape_buckets, config.signature, sample));
  }
  fill_defaults(files, *completed);
  config.proto = std::move(completed);
  return config;
}

}  // namespace tessera::model
