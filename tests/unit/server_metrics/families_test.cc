#include "server/metrics/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <string>

namespace tessera::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

runtime::ModelStatistics busy_model() {
  runtime::ModelStatistics m;
  m.model = "simple";
  m.version = 3;
  m.inference_count = 40;
  m.execution_count = 10;
  m.success = {20, std::chrono::milliseconds(3)};
  m.queue = {20, std::chrono::microseconds(1500)};
  m.batches[4].compute_infer.count = 10;
  m.failures = {{"queue_full", 2}, {"deadline", 3}, {"cancelled", 1}, {"engine", 4}, {"invalid", 5}};
  m.pending = 7;
  m.with_slo = 8;
  m.met_slo = 6;
  m.params.slo = std::chrono::milliseconds(20);
  m.latency.record(std::chrono::microseconds(80));
  m.latency.record(std::chrono::milliseconds(70));
  m.evictions = 2;
  m.waiting_for_return = 3;
  m.return_time.record(std::chrono::seconds(2));
  m.atom_seconds = 1.5;
  m.launches_by_atom = {{{"host", 0}, 9}, {{"host", 1}, 2}};
  m.fastest_measured = std::chrono::milliseconds(21);
  m.memory["host"] = {.weights = {100}, .packed = {50}, .working = {7}, .per_home = {}, .again = {20}};
  return m;
}

std::string text_of(const std::vector<prometheus::MetricFamily>& families) {
  return prometheus::TextSerializer().Serialize(families);
}

TEST(MetricFamilies, AreTritonsAndOurs) {
  const std::string text = text_of(model_families({busy_model()}));
  for (const char* line : {
           "nv_inference_request_success{model=\"simple\",version=\"3\"} 20\n",
           "nv_inference_count{model=\"simple\",version=\"3\"} 40\n",
           "nv_inference_exec_count{model=\"simple\",version=\"3\"} 10\n",
           "nv_inference_pending_request_count{model=\"simple\",version=\"3\"} 7\n",
           "nv_inference_request_duration_us{model=\"simple\",version=\"3\"} 3000\n",
           "nv_inference_queue_duration_us{model=\"simple\",version=\"3\"} 1500\n",
           "nv_inference_request_failure{model=\"simple\",version=\"3\",reason=\"REJECTED\"} 5\n",
           "nv_inference_request_failure{model=\"simple\",version=\"3\",reason=\"CANCELED\"} 1\n",
           "nv_inference_request_failure{model=\"simple\",version=\"3\",reason=\"BACKEND\"} 4\n",
           "nv_inference_request_failure{model=\"simple\",version=\"3\",reason=\"OTHER\"} 5\n",
           "tessera_rejected_total{model=\"simple\",version=\"3\",reason=\"deadline\"} 3\n",
           "tessera_slo_seconds{model=\"simple\",version=\"3\"} 0.02\n",
           "tessera_attainment{model=\"simple\",version=\"3\"} 0.75\n",
           "tessera_launches_total{model=\"simple\",version=\"3\",device=\"host\",atom=\"1\"} 2\n",
           "tessera_batches_total{model=\"simple\",version=\"3\",size=\"4\"} 10\n",
           "tessera_slo_impossible{model=\"simple\",version=\"3\"} 1\n",
           "tessera_model_memory_bytes{model=\"simple\",version=\"3\",device=\"host\",part=\"weights\"} 100\n",
           "tessera_model_memory_bytes{model=\"simple\",version=\"3\",device=\"host\",part=\"packed\"} 30\n",
           "tessera_model_memory_bytes{model=\"simple\",version=\"3\",device=\"host\",part=\"packed_again\"} 20\n",
           "tessera_model_memory_bytes{model=\"simple\",version=\"3\",device=\"host\",part=\"working\"} 7\n",
           "tessera_slice_atom_seconds_total{model=\"simple\",version=\"3\"} 1.5\n",
           "tessera_evictions_total{model=\"simple\",version=\"3\"} 2\n",
           "tessera_requests_waiting_for_return{model=\"simple\",version=\"3\"} 3\n",
           "tessera_return_time_seconds_count{model=\"simple\",version=\"3\"} 1\n",
           "tessera_return_time_seconds_bucket{model=\"simple\",version=\"3\",le=\"2.5\"} 1\n",
           "# TYPE tessera_request_latency_seconds histogram\n",
           "tessera_request_latency_seconds_count{model=\"simple\",version=\"3\"} 2\n",
           "tessera_request_latency_seconds_bucket{model=\"simple\",version=\"3\",le=\"5e-05\"} 0\n",
           "tessera_request_latency_seconds_bucket{model=\"simple\",version=\"3\",le=\"0.0001\"} 1\n",
           "tessera_request_latency_seconds_bucket{model=\"simple\",version=\"3\",le=\"+Inf\"} 2\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricFamilies, AnObjectiveIsImpossibleOnlyBelowWhatWasMeasured) {
  runtime::ModelStatistics m = busy_model();
  const std::string possible = "tessera_slo_impossible{model=\"simple\",version=\"3\"} 0\n";
  m.fastest_measured = std::chrono::milliseconds(20);
  EXPECT_THAT(text_of(model_families({m})), HasSubstr(possible));
  m.fastest_measured = Duration{0};  // nothing is known
  EXPECT_THAT(text_of(model_families({m})), HasSubstr(possible));
  m.fastest_measured = std::chrono::milliseconds(30);
  m.params.slo.reset();
  EXPECT_THAT(text_of(model_families({m})), HasSubstr(possible));
}

TEST(MetricFamilies, ShowFailuresBeforeTheFirst) {
  runtime::ModelStatistics idle;
  idle.model = "idle";
  idle.version = 1;
  const std::string text = text_of(model_families({idle}));
  EXPECT_THAT(text, HasSubstr("nv_inference_request_failure{model=\"idle\",version=\"1\",reason=\"REJECTED\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("tessera_slo_seconds{")));
  EXPECT_THAT(text, Not(HasSubstr("tessera_attainment{")));
}

TEST(MetricFamilies, LeaveModelsOutRatherThanGrowWithoutBound) {
  std::vector<runtime::ModelStatistics> many(kMaxModelVersions + 5);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].model = "m" + std::to_string(i);
  const auto families = model_families(many);
  for (const auto& family : families) EXPECT_LE(family.metric.size(), 4 * kMaxModelVersions) << family.name;
  EXPECT_THAT(text_of(families), HasSubstr("tessera_models_not_shown 5\n"));
}

TEST(MetricFamilies, TellOfDeviceAndProcess) {
  runtime::DeviceStatistics device;
  device.device = "host";
  device.busy_seconds = {0.5, 0.25};
  device.launches = 12;
  device.dispatching_seconds = 1.5;
  device.copied_tensor_bytes = 4096;
  runtime::DeviceStatistics other = device;
  other.device = "cuda:1";
  other.up = false;
  const std::string text = text_of(device_families({device, other}));
  EXPECT_THAT(text, HasSubstr("tessera_atom_busy_seconds_total{device=\"host\",atom=\"1\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("tessera_device_launches_total{device=\"host\"} 12\n"));
  EXPECT_THAT(text, HasSubstr("tessera_atom_busy_seconds_total{device=\"cuda:1\",atom=\"1\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("tessera_dispatching_seconds_total{device=\"host\"} 1.5\n"));
  EXPECT_THAT(text, HasSubstr("tessera_device_up{device=\"host\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tessera_device_up{device=\"cuda:1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tessera_copied_tensor_bytes_total 8192\n"));
  const auto process = process_families();
  ASSERT_EQ(process.size(), 3u);
  EXPECT_GT(process[0].metric.front().counter.value, 0);
  EXPECT_GT(process[1].metric.front().gauge.value, 1e6);
  EXPECT_GT(process[2].metric.front().gauge.value, 0);
}

}  // namespace
}  // namespace tessera::server
