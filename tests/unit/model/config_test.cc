#include "model/config.h"

#include <gtest/gtest.h>

#include <array>

#include "model_config.pb.h"
#include "tests/unit/model/config_support.h"

namespace tessera::model {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(Completion, NothingWrittenIsAValidModel) {
  const auto config = complete_text("");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->name, "m");
  EXPECT_EQ(config->signature.max_batch_size, 8);
  EXPECT_EQ(config->signature.inputs.at(0).shape, (Shape{16}));
  EXPECT_EQ(config->signature.outputs.at(0).dtype, DType::kInt32);
  EXPECT_EQ(config->params.buckets, (std::vector<std::int32_t>{1, 2, 4, 8}));
  EXPECT_TRUE(config->params.dynamic_batching);
  EXPECT_EQ(config->params.lanes, 2);
  EXPECT_FALSE(config->params.slo.has_value());
  EXPECT_EQ(config->proto->platform(), "onnxruntime_onnx");
  EXPECT_EQ(config->proto->input(0).name(), "x");
  EXPECT_EQ(config->proto->input(0).data_type(), inference::TYPE_FP32);
  EXPECT_EQ(config->proto->instance_group(0).kind(), inference::ModelInstanceGroup::KIND_CPU);
  EXPECT_EQ(config->proto->version_policy().latest().num_versions(), 1U);
}

TEST(Completion, NoBatchingWithoutAFreeFirstDimensionEverywhere) {
  EXPECT_EQ(complete_text("", fixed_file())->signature.max_batch_size, 0);
  EXPECT_EQ(complete_text("", fixed_file())->params.buckets, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(complete_text("", fixed_file())->signature.inputs.at(0).shape, (Shape{1, 3, 8, 8}));
  // One free output dimension alone may be anything: a count of boxes.
  engine::FileSignature file = batched_file();
  file.outputs[0].shape = {-1};
  EXPECT_EQ(complete_text("", file)->signature.max_batch_size, 0);
  EXPECT_FALSE(complete_text("", file)->params.dynamic_batching);
  file.outputs[0].shape = {1, 4};
  EXPECT_EQ(complete_text("", file)->signature.max_batch_size, 0);
}

TEST(Completion, WrittenDimensionsTellWhetherTheModelBatches) {
  EXPECT_EQ(complete_text("input { name: \"x\" dims: [ 16 ] }")->signature.max_batch_size, 8);
  const auto whole = complete_text("input { name: \"x\" dims: [ -1, 16 ] }");
  ASSERT_TRUE(whole.ok()) << whole.error().message();
  EXPECT_EQ(whole->signature.max_batch_size, 0);
  EXPECT_EQ(whole->signature.inputs.at(0).shape, (Shape{-1, 16}));
  const auto off = complete_text("max_batch_size: 0");
  ASSERT_TRUE(off.ok());
  EXPECT_EQ(off->signature.max_batch_size, 0);
  EXPECT_EQ(off->params.buckets, (std::vector<std::int32_t>{1}));
}

TEST(Completion, AWrittenBatchSizeDoesNotTurnJoiningOn) {
  const auto config = complete_text("max_batch_size: 6");
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->params.dynamic_batching);
  EXPECT_EQ(config->params.buckets, (std::vector<std::int32_t>{1, 2, 4, 6}));
}

TEST(Completion, TensorsKeepTheFilesOrderAndMissingOnesAreAdded) {
  engine::FileSignature file = batched_file();
  file.inputs.push_back({"z", DType::kBytes, {-1, -1}});
  const auto config = complete_text("input { name: \"z\" dims: [ 5 ] }", file);
  ASSERT_TRUE(config.ok()) << config.error().message();
  ASSERT_EQ(config->signature.inputs.size(), 2U);
  EXPECT_EQ(config->signature.inputs[0].name, "x");
  EXPECT_EQ(config->signature.inputs[1].shape, (Shape{5}));
  EXPECT_EQ(config->proto->input(0).name(), "z");
  EXPECT_EQ(config->proto->input(0).data_type(), inference::TYPE_STRING);
  EXPECT_EQ(config->proto->input(1).name(), "x");
}

TEST(Completion, DisagreementWithTheFileIsNamed) {
  EXPECT_EQ(error_of("name: \"other\""), "invalid argument: name: is 'other', but the model's folder is 'm'");
  EXPECT_EQ(error_of("input { name: \"q\" }"),
            "invalid argument: input 'q': the model file has no such input, only 'x'");
  EXPECT_EQ(error_of("output { name: \"q\" }"),
            "invalid argument: output 'q': the model file has no such output, only 'y'");
  EXPECT_EQ(error_of("input { name: \"x\" data_type: TYPE_INT8 }"),
            "invalid argument: input 'x': data_type: is TYPE_INT8, but the model file has TYPE_FP32");
  EXPECT_EQ(error_of("max_batch_size: 8 input { name: \"x\" dims: [ 17 ] }"),
            "invalid argument: input 'x': dims: are [17], but the model file has [16] behind the batch dimension");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ 1, 3, 8, -1 ] }", fixed_file()),
            "invalid argument: input 'x': dims: are [1,3,8,-1], but the model file has [1,3,8,8]");
  EXPECT_EQ(error_of("max_batch_size: 2", fixed_file()),
            "invalid argument: max_batch_size: is 2, but the model file has no free batch dimension: 'x' is [1,3,8,8]");
}

TEST(Completion, ChecksWhatIsWrittenOfTensors) {
  EXPECT_EQ(error_of("input { dims: 1 }"), "invalid argument: input.name: must not be empty");
  EXPECT_EQ(error_of("input { name: \"x\" } input { name: \"x\" }"), "invalid argument: input.name: 'x' stands twice");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ -2 ] }"),
            "invalid argument: input 'x': dims: each must be -1 or at least 1, got -2");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ 0 ] }"),
            "invalid argument: input 'x': dims: each must be -1 or at least 1, got 0");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] }"),
            "invalid argument: input 'x': dims: more than 15 dimensions");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ 16 ] format: FORMAT_NCHW }"),
            "invalid argument: input 'x': format: needs three dims, got 1");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ 16 ] reshape { shape: [ 4, 4 ] } }"),
            "unsupported: input 'x': reshape: requests must use the shape that the model file has");
  EXPECT_EQ(error_of("input { name: \"x\" dims: [ 16 ] reshape { shape: [ 16 ] } }"), "");
  engine::FileSignature none = batched_file();
  none.inputs.clear();
  EXPECT_NE(error_of("", none), "");
}

TEST(Completion, BatchSizesAreBounded) {
  EXPECT_NE(error_of("max_batch_size: -1").find("max_batch_size: must lie between 0 and 65536"), std::string::npos);
  EXPECT_NE(error_of("max_batch_size: 65537"), "");
  EXPECT_EQ(error_of("max_batch_size: 65536"), "");
}

TEST(Refusals, NameTheField) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"platform: \"tensorrt_plan\"", "platform"},
      {"backend: \"python\"", "backend"},
      {"runtime: \"libx.so\"", "runtime"},
      {"sequence_batching { }", "sequence_batching"},
      {"ensemble_scheduling { }", "ensemble_scheduling"},
      {"model_transaction_policy { decoupled: true }", "model_transaction_policy.decoupled"},
      {"response_cache { enable: true }", "response_cache.enable"},
      {"batch_input { }", "batch_input"},
      {"batch_output { }", "batch_output"},
      {"cc_model_filenames { key: \"7.5\" value: \"a\" }", "cc_model_filenames"},
      {"metric_tags { key: \"a\" value: \"b\" }", "metric_tags"},
      {"model_metrics { metric_control { } }", "model_metrics"},
      {"model_operations { op_library_filename: \"a.so\" }", "model_operations.op_library_filename"},
      {"model_repository_agents { agents { name: \"checksum\" } }", "model_repository_agents"},
      {"input { name: \"x\" optional: true }", "input[0].optional"},
      {"input { name: \"x\" allow_ragged_batch: true }", "input[0].allow_ragged_batch"},
      {"input { name: \"x\" is_shape_tensor: true }", "input[0].is_shape_tensor"},
      {"input { name: \"x\" is_non_linear_format_io: true }", "input[0].is_non_linear_format_io"},
      {"output { name: \"y\" is_shape_tensor: true }", "output[0].is_shape_tensor"},
      {"output { name: \"y\" is_non_linear_format_io: true }", "output[0].is_non_linear_format_io"},
      {"instance_group { kind: KIND_GPU }", "instance_group[0].kind"},
      {"instance_group { } instance_group { kind: KIND_MODEL }", "instance_group[1].kind"},
      {"instance_group { } instance_group { gpus: 0 }", "instance_group[1].gpus"},
      {"instance_group { passive: true }", "instance_group[0].passive"},
      {"instance_group { rate_limiter { priority: 2 } }", "instance_group[0].rate_limiter"},
      {"instance_group { rate_limiter { resources { name: \"r\" } } }", "instance_group[0].rate_limiter"},
      {"instance_group { profile: \"0\" }", "instance_group[0].profile"},
      {"instance_group { secondary_devices { device_id: 1 } }", "instance_group[0].secondary_devices"},
      {"instance_group { host_policy: \"p\" }", "instance_group[0].host_policy"},
      {"optimization { graph { level: 1 } }", "optimization.graph.level"},
      {"optimization { priority: PRIORITY_MAX }", "optimization.priority"},
      {"optimization { cuda { graphs: true } }", "optimization.cuda"},
      {"optimization { execution_accelerators { gpu_execution_accelerator { name: \"tensorrt\" } } }",
       "optimization.execution_accelerators"},
      {"optimization { gather_kernel_buffer_threshold: 4 }", "optimization.gather_kernel_buffer_threshold"},
      {"optimization { eager_batching: true }", "optimization.eager_batching"},
  };
  for (const auto& [text, field] : cases) {
    const std::string error = error_of(text);
    EXPECT_EQ(error.rfind("unsupported: " + field + ": ", 0), 0U) << text << " -> " << error;
  }
}

TEST(Refusals, DefaultsWrittenOutAreAccepted) {
  EXPECT_EQ(error_of("platform: \"onnxruntime_onnx\" backend: \"onnxruntime\" response_cache { enable: false } "
                     "model_transaction_policy { decoupled: false } optimization { graph { level: 0 } cuda { graphs: "
                     "false } input_pinned_memory { enable: true } } instance_group { kind: KIND_AUTO }"),
            "");
  ConfigDefaults gpu;
  gpu.device_kind = "cuda";
  EXPECT_EQ(error_of("instance_group { kind: KIND_GPU }", batched_file(), gpu), "");
  EXPECT_EQ(error_of("instance_group { kind: KIND_CPU }", batched_file(), gpu).rfind("unsupported", 0), 0U);
}

TEST(Refusals, NameWhatThePolicyDoesNotHeed) {
  ConfigDefaults defaults = host_defaults();
  const auto parameter = [](const std::string& key, const std::string& value) {
    return "parameters { key: \"" + key + "\" value { string_value: \"" + value + "\" } }";
  };
  const std::vector<std::array<std::string, 3>> cases{{"weight", "2", "1"},
                                                      {"reserved_share", "0.5", "0"},
                                                      {"reserved_lend", "false", "true"},
                                                      {"max_share", "0.5", "1"}};
  for (const auto& [key, value, standard] : cases) {
    defaults.policy_without_shares = [] { return std::string(); };
    EXPECT_EQ(error_of(parameter(key, value), batched_file(), defaults), "");
    defaults.policy_without_shares = [] { return std::string("temporal"); };
    EXPECT_EQ(error_of(parameter(key, value), batched_file(), defaults),
              "unsupported: parameters." + key + ": has no effect under the policy 'temporal'");
    EXPECT_EQ(error_of(parameter(key, standard), batched_file(), defaults), "") << key << " is what happens anyway";
  }
}

TEST(Refusals, PreservedOrderingHasNeitherPrioritiesNorDelays) {
  const auto error = [](const std::string& more) {
    return error_of("max_batch_size: 4 dynamic_batching { preserve_ordering: true " + more + " }");
  };
  const std::string delay = "{ timeout_action: DELAY default_timeout_microseconds: 9 }";
  const std::string field = "invalid argument: dynamic_batching.preserve_ordering: ";
  EXPECT_EQ(error("priority_levels: 2 default_priority_level: 1"),
            field + "allows one level in priority_levels, got 2");
  EXPECT_EQ(error("default_queue_policy " + delay), field + "no queue policy may have timeout_action DELAY");
  EXPECT_EQ(error("priority_levels: 1 default_priority_level: 1 priority_queue_policy { key: 1 value " + delay + " }"),
            field + "no queue policy may have timeout_action DELAY");
  EXPECT_EQ(error("default_queue_policy { default_timeout_microseconds: 9 }"), "");
  EXPECT_TRUE(
      complete_text("max_batch_size: 4 dynamic_batching { preserve_ordering: true }")->params.preserve_ordering);
}

TEST(Batching, IsReadInFull) {
  const auto config = complete_text(R"(max_batch_size: 10
    dynamic_batching {
      preferred_batch_size: [ 6, 3 ]
      max_queue_delay_microseconds: 250
      priority_levels: 3
      default_priority_level: 2
      default_queue_policy { default_timeout_microseconds: 9 timeout_action: DELAY max_queue_size: 5 }
      priority_queue_policy { key: 1 value { max_queue_size: 1 allow_timeout_override: true } }
    })");
  ASSERT_TRUE(config.ok()) << config.error().message();
  const auto& params = config->params;
  EXPECT_EQ(params.buckets, (std::vector<std::int32_t>{1, 2, 3, 4, 6, 8, 10}));
  EXPECT_TRUE(params.dynamic_batching);
  EXPECT_FALSE(params.preserve_ordering);
  EXPECT_EQ(params.preferred_batch_sizes, (std::vector<std::int32_t>{3, 6}));
  EXPECT_EQ(params.max_queue_delay, Duration(microseconds(250)));
  EXPECT_EQ(params.priority_levels, 3U);
  EXPECT_EQ(params.default_priority, 2U);
  EXPECT_EQ(params.default_queue_policy.default_timeout, Duration(microseconds(9)));
  EXPECT_EQ(params.default_queue_policy.timeout_action, sched::TimeoutAction::kDelay);
  EXPECT_EQ(params.default_queue_policy.max_queue_size, 5U);
  EXPECT_EQ(params.queue_policies.at(1).max_queue_size, 1U);
  EXPECT_EQ(params.queue_policies.at(1).default_timeout, kForever);
}

TEST(Batching, RangesAreChecked) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"preferred_batch_size: 9", "preferred_batch_size"},
      {"preferred_batch_size: 0", "preferred_batch_size"},
      {"preferred_batch_size: -4", "preferred_batch_size"},
      {"max_queue_delay_microseconds: 18446744073709551615", "max_queue_delay_microseconds"},
      {"priority_levels: 1025 default_priority_level: 1", "priority_levels"},
      {"priority_levels: 2", "default_priority_level"},
      {"priority_levels: 2 default_priority_level: 3", "default_priority_level"},
      {"default_priority_level: 1", "default_priority_level"},
      {"priority_queue_policy { key: 1 value { } }", "priority_queue_policy[1]"},
      {"priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 0 value { } }",
       "priority_queue_policy[0]"},
      {"default_queue_policy { default_timeout_microseconds: 86400000001 }",
       "default_queue_policy.default_timeout_microseconds"},
  };
  for (const auto& [text, field] : cases) {
    const std::string error = error_of("max_batch_size: 8 dynamic_batching { " + text + " }");
    EXPECT_EQ(error.rfind("invalid argument: dynamic_batching." + field + ": ", 0), 0U) << text << " -> " << error;
  }
}

TEST(Instances, CountIsTheNumberOfLanes) {
  EXPECT_EQ(complete_text("instance_group { count: 3 }")->params.lanes, 3);
  EXPECT_EQ(complete_text("instance_group { count: 3 } instance_group { }")->params.lanes, 5);
  EXPECT_EQ(complete_text("instance_group { count: 3 }")->proto->instance_group(0).name(), "m_0");
  EXPECT_NE(error_of("instance_group { count: -1 }"), "");
  EXPECT_NE(error_of("instance_group { count: 65 }"), "");
  EXPECT_NE(error_of("instance_group { count: 64 } instance_group { count: 1 }"), "");
}

TEST(Versions, PoliciesAreReadAndChecked) {
  EXPECT_EQ(complete_text("version_policy { all { } }")->versions.kind, VersionPolicy::Kind::kAll);
  EXPECT_EQ(complete_text("version_policy { latest { num_versions: 4 } }")->versions.latest, 4U);
  EXPECT_EQ(complete_text("version_policy { specific { versions: [ 5, 2, 5 ] } }")->versions.specific,
            (std::vector<std::int64_t>{2, 5}));
  EXPECT_NE(error_of("version_policy { specific { } }"), "");
  EXPECT_NE(error_of("version_policy { specific { versions: 0 } }"), "");
  EXPECT_NE(error_of("version_policy { latest { num_versions: 4000000000 } }"), "");
}

TEST(FileNames, ArePlain) {
  for (const char* name : {"../secret", "/etc/passwd", "..", ".", "a/b"}) {
    EXPECT_NE(error_of("default_model_filename: \"" + std::string(name) + "\"").find("default_model_filename"),
              std::string::npos);
    EXPECT_NE(error_of("output { name: \"y\" label_filename: \"" + std::string(name) + "\" }").find("label_filename"),
              std::string::npos);
  }
  const auto config = complete_text("output { name: \"y\" label_filename: \"l.txt\" }");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->label_files.at(0), (std::pair<std::string, std::string>{"y", "l.txt"}));
}

TEST(Warmup, IsReadAndChecked) {
  const auto sample = [](const std::string& inputs, const std::string& more = "") {
    return "model_warmup { name: \"w\" " + more + " inputs { key: \"x\" value { " + inputs + " } } }";
  };
  const auto config =
      complete_text(sample("data_type: TYPE_FP32 dims: 16 input_data_file: \"f\"", "batch_size: 4 count: 2"));
  ASSERT_TRUE(config.ok()) << config.error().message();
  ASSERT_EQ(config->warmup.size(), 1U);
  EXPECT_EQ(config->warmup[0].batch_size, 4U);
  EXPECT_EQ(config->warmup[0].count, 2U);
  EXPECT_EQ(config->warmup[0].inputs.at(0).file, "f");
  const std::string good = "data_type: TYPE_FP32 dims: 16 zero_data: true";
  EXPECT_EQ(error_of(sample(good)), "");
  EXPECT_NE(error_of(sample(good, "batch_size: 9")).find("model_warmup[0].batch_size"), std::string::npos);
  EXPECT_NE(error_of(sample(good, "count: 10001")).find("model_warmup[0].count"), std::string::npos);
  EXPECT_NE(error_of("model_warmup { name: \"w\" }").find("'x' is missing"), std::string::npos);
  EXPECT_NE(error_of(sample("data_type: TYPE_FP32 dims: 15 zero_data: true")).find("dims"), std::string::npos);
  EXPECT_NE(error_of(sample("data_type: TYPE_FP32 dims: -1 zero_data: true")).find("dims"), std::string::npos);
  EXPECT_NE(error_of(sample("data_type: TYPE_INT8 dims: 16 zero_data: true")).find("data_type"), std::string::npos);
  EXPECT_NE(error_of(sample("data_type: TYPE_FP32 dims: 16")).find("none of"), std::string::npos);
  EXPECT_NE(error_of(sample("data_type: TYPE_FP32 dims: 16 input_data_file: \"../f\"")).find("input_data_file"),
            std::string::npos);
  engine::FileSignature wide = batched_file();
  wide.inputs[0].shape = {-1, -1};
  EXPECT_NE(error_of(sample("data_type: TYPE_FP32 dims: 9000000000000000000 zero_data: true"), wide).find("bytes"),
            std::string::npos);
}

TEST(Json, ShowsEveryFieldAsTritonDoes) {
  const auto config = complete_text(
      "max_batch_size: 4 dynamic_batching { max_queue_delay_microseconds: 100 } parameters { key: \"slo_ms\" value { "
      "string_value: \"5\" } }");
  ASSERT_TRUE(config.ok());
  const std::string json = config_json(*config->proto);
  for (const char* part :
       {R"("name":"m")", R"("platform":"onnxruntime_onnx")", R"("backend":"onnxruntime")", R"("max_batch_size":4)",
        R"("dims":[16])", R"("data_type":"TYPE_FP32")", R"("format":"FORMAT_NONE")", R"("optional":false)",
        R"("version_policy":{"latest":{"num_versions":1}})", R"("kind":"KIND_CPU")", R"("gpus":[])",
        R"("max_queue_delay_microseconds":100)", R"("parameters":{"slo_ms":{"string_value":"5"}})",
        R"("model_warmup":[])", R"("cc_model_filenames":{})", R"("default_model_filename":"")"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << " in " << json;
  }
  EXPECT_EQ(json.find("sequence_batching"), std::string::npos);
  EXPECT_EQ(json.find("reshape"), std::string::npos);
  const auto again = parse_config_json(json);
  ASSERT_TRUE(again.ok()) << again.error().message();
  const auto completed = complete_config("m", *again, batched_file(), host_defaults());
  ASSERT_TRUE(completed.ok()) << completed.error().message();
  EXPECT_EQ(config_json(*completed->proto), json);
}

}  // namespace
}  // namespace tessera::model
