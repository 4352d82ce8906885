#include <string>

#include "model/config_steps.h"

namespace tessera::model {
namespace {

// Collects the first refusal, so that the list of rules below reads as one.
class Refusals {
 public:
  void when(bool asked, std::string field, std::string_view why) {
    if (asked && first_.ok()) {
      first_ = unsupported(field.append(": ").append(why));
    }
  }
  Status first() const { return first_; }

 private:
  Status first_;
};

std::string indexed(std::string_view list, int i, std::string_view field) {
  return std::string(list) + "[" + std::to_string(i) + "]." + std::string(field);
}

void of_optimization(const inference::ModelOptimizationPolicy& policy, Refusals& refuse) {
  using Policy = inference::ModelOptimizationPolicy;
  refuse.when(policy.graph().level() != 0, "optimization.graph.level",
              "graphs are always optimised fully; leave it out");
  refuse.when(policy.priority() != Policy::PRIORITY_DEFAULT, "optimization.priority",
              "models have no such priority here; use parameters.slo_ms, weight or reserved_share");
  refuse.when(policy.has_cuda() && policy.cuda().ByteSizeLong() > 0, "optimization.cuda",
              "nothing of it can be chosen here; leave it out");
  refuse.when(policy.has_execution_accelerators() && policy.execution_accelerators().ByteSizeLong() > 0,
              "optimization.execution_accelerators", "this build has no accelerators beside the device's own");
  refuse.when(policy.gather_kernel_buffer_threshold() != 0, "optimization.gather_kernel_buffer_threshold",
              "this build does not offer the choice");
  refuse.when(policy.eager_batching(), "optimization.eager_batching", "this build does not offer the choice");
}

void of_tensors(const inference::ModelConfig& proto, Refusals& refuse) {
  for (int i = 0; i < proto.input_size(); ++i) {
    const auto& input = proto.input(i);
    refuse.when(input.is_shape_tensor(), indexed("input", i, "is_shape_tensor"), "only TensorRT has such inputs");
    refuse.when(input.allow_ragged_batch(), indexed("input", i, "allow_ragged_batch"),
                "requests of unlike shapes are not joined");
    refuse.when(input.optional(), indexed("input", i, "optional"), "every input must be given");
    refuse.when(input.is_non_linear_format_io(), indexed("input", i, "is_non_linear_format_io"),
                "only TensorRT has such inputs");
  }
  for (int i = 0; i < proto.output_size(); ++i) {
    const auto& output = proto.output(i);
    refuse.when(output.is_shape_tensor(), indexed("output", i, "is_shape_tensor"), "only TensorRT has such outputs");
    refuse.when(output.is_non_linear_format_io(), indexed("output", i, "is_non_linear_format_io"),
                "only TensorRT has such outputs");
  }
}

void of_instances(const inference::ModelConfig& proto, const ConfigDefaults& defaults, Refusals& refuse) {
  using Group = inference::ModelInstanceGroup;
  const bool gpu = defaults.device_kind != "host";
  for (int i = 0; i < proto.instance_group_size(); ++i) {
    const Group& group = proto.instance_group(i);
    const auto field = [i](std::string_view name) { return indexed("instance_group", i, name); };
    refuse.when(group.kind() == Group::KIND_GPU && !gpu, field("kind"),
                "KIND_GPU asks for a GPU, and this server runs models on the processor");
    refuse.when(group.kind() == Group::KIND_CPU && gpu, field("kind"),
                "KIND_CPU asks for the processor, and this server runs models on GPUs");
    refuse.when(group.kind() == Group::KIND_MODEL, field("kind"),
                "KIND_MODEL lets the model choose its device, and models run where the server puts them");
    refuse.when(group.gpus_size() > 0 && !gpu, field("gpus"), "this server runs models on the processor");
    refuse.when(group.passive(), field("passive"), "an instance that never runs is not kept");
    refuse.when(group.rate_limiter().resources_size() > 0 || group.rate_limiter().priority() != 0,
                field("rate_limiter"), "slices take its place; use parameters.max_share or reserved_share");
    refuse.when(group.profile_size() > 0, field("profile"), "only TensorRT has such profiles");
    refuse.when(group.secondary_devices_size() > 0, field("secondary_devices"), "this build knows none");
    refuse.when(!group.host_policy().empty(), field("host_policy"), "this build knows none");
  }
}

void of_model(const inference::ModelConfig& proto, Refusals& refuse) {
  refuse.when(!proto.platform().empty() && proto.platform() != "onnxruntime_onnx", "platform",
              "'" + proto.platform() + "' is not served here, only 'onnxruntime_onnx'");
  refuse.when(!proto.backend().empty() && proto.backend() != "onnxruntime", "backend",
              "'" + proto.backend() + "' is not served here, only 'onnxruntime'");
  refuse.when(!proto.runtime().empty(), "runtime", "backends cannot be chosen by file");
  refuse.when(proto.has_sequence_batching(), "sequence_batching", "sequences are not supported yet");
  refuse.when(proto.has_ensemble_scheduling(), "ensemble_scheduling", "ensembles are not supported yet");
  refuse.when(proto.model_transaction_policy().decoupled(), "model_transaction_policy.decoupled",
              "every request has exactly one answer");
  refuse.when(proto.response_cache().enable(), "response_cache.enable", "answers are not cached");
  refuse.when(proto.batch_input_size() > 0, "batch_input", "inputs are never made up by the server");
  refuse.when(proto.batch_output_size() > 0, "batch_output", "outputs are only taken apart by rows");
  refuse.when(proto.cc_model_filenames_size() > 0, "cc_model_filenames", "one file serves every device");
  refuse.when(proto.metric_tags_size() > 0, "metric_tags", "metrics carry no labels of the model's own");
  refuse.when(proto.model_metrics().metric_control_size() > 0, "model_metrics", "buckets cannot be chosen");
  refuse.when(proto.model_operations().op_library_filename_size() > 0, "model_operations.op_library_filename",
              "libraries of operators are not loaded");
  refuse.when(proto.model_repository_agents().agents_size() > 0, "model_repository_agents",
              "models are loaded as they lie in the repository");
}

}  // namespace

Status refuse_unsupported(const inference::ModelConfig& proto, const ConfigDefaults& defaults) {
  Refusals refuse;
  of_model(proto, refuse);
  of_tensors(proto, refuse);
  of_instances(proto, defaults, refuse);
  of_optimization(proto.optimization(), refuse);
  return refuse.first();
}

}  // namespace tessera::model
