// The facade with the lives of models behind it: a repository of pretended models on the host device.
#include "runtime/service.h"

#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "device/host/host_device.h"
#include "engine/fake/fake_engine.h"
#include "support.h"

namespace tessera::runtime::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEcho =
    "tessera-fake 1\n"
    "input INPUT0 INT32 [-1,4]\n"
    "output OUTPUT0 INT32 [-1,4] copy INPUT0\n"
    "latency 1 1 50us\n"
    "fault lost 99 bus error\n";

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    root_ = fs::temp_directory_path() / ("tessera-service-" + std::to_string(::getpid()) + "-" +
                                         testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root_);
  }
  ~ServiceTest() override { fs::remove_all(root_); }

  void model(const std::string& name, const std::string& text, const std::string& version = "1") {
    fs::create_directories(root_ / name / version);
    std::ofstream(root_ / name / version / "model.onnx") << text;
  }

  std::unique_ptr<Service> service(const std::function<void(ServiceOptions&)>& adjust = [](ServiceOptions&) {}) {
    ServiceOptions options;
    options.models.repositories = {root_};
    options.models.defaults.device_kind = "host";
    adjust(options);
    auto made = Service::create(std::move(options), device::make_host_device({}).value(),
                                std::make_unique<engine::FakeEngine>());
    TESSERA_CHECK(made.ok());
    return std::move(made).value();
  }

  Result<InferResponse> infer(Service& service, const std::string& name, std::int32_t first = 1) {
    numbers_ = {first, 2, 3, 4};
    auto call = std::make_shared<TestCall>();
    call->request.model = name;
    call->request.inputs = {{"INPUT0", {DType::kInt32, {1, 4}, std::as_bytes(std::span(numbers_))}}};
    service.infer(call);
    return call->wait();
  }

  fs::path root_;
  std::array<std::int32_t, 4> numbers_{};
};

TEST_F(ServiceTest, ServesWhatTheRepositoryHolds) {
  model("echo", kEcho);
  const auto s = service();
  EXPECT_FALSE(s->ready());
  const Status started = s->start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_TRUE(s->live());
  EXPECT_TRUE(s->ready());
  const auto answer = infer(*s, "echo", 7);
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  ASSERT_EQ(answer->outputs.size(), 1U);
  EXPECT_EQ(std::memcmp(answer->outputs[0].tensor.data.data(), numbers_.data(), 16), 0);
  EXPECT_EQ(s->versions("echo"), std::vector<std::int64_t>{1});
  EXPECT_EQ(s->find("nobody", std::nullopt).error().code(), ErrorCode::kNotFound);
  const auto statistics = s->statistics("echo", std::nullopt);
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->at(0).inference_count, 1U);
  EXPECT_GT(statistics->at(0).last_inference_ms, 1'600'000'000'000U);
  EXPECT_EQ(s->statistics("nobody", std::nullopt).error().message(), "requested model 'nobody' is not available");
  EXPECT_EQ(s->device_statistics().at(0).device, "host");
  s->count_copied({100});
  EXPECT_GE(s->device_statistics().at(0).copied_tensor_bytes, 100U);
}

TEST_F(ServiceTest, OneModelThatCannotBeLoadedKeepsAStrictServerUnready) {
  model("echo", kEcho);
  model("broken", "no model at all");
  const auto strict = service();
  EXPECT_FALSE(strict->start().ok());
  EXPECT_FALSE(strict->ready());
  EXPECT_TRUE(infer(*strict, "echo").ok());
  const auto lenient = service([](ServiceOptions& options) { options.strict_readiness = false; });
  EXPECT_FALSE(lenient->start().ok());
  EXPECT_TRUE(lenient->ready());
}

TEST_F(ServiceTest, AnUnloadedModelIsUnknownButItsNumbersStay) {
  model("echo", kEcho);
  const auto s = service([](ServiceOptions& options) {
    options.models.control = model::ControlMode::kExplicit;
    options.models.load_at_start = {"echo"};
  });
  ASSERT_TRUE(s->start().ok());
  ASSERT_TRUE(infer(*s, "echo").ok());
  std::promise<Status> unloaded;
  s->models().unload("echo", [&](Status status) { unloaded.set_value(std::move(status)); });
  EXPECT_TRUE(unloaded.get_future().get().ok());
  EXPECT_EQ(infer(*s, "echo").error().message(), "Request for unknown model: 'echo' is not found");
  EXPECT_EQ(s->lease_body("echo", {16}).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(s->statistics("echo", 1).value().at(0).success.count, 1U);
  std::promise<Status> loaded;
  s->models().load({"echo", std::nullopt, {}}, [&](Status status) { loaded.set_value(std::move(status)); });
  EXPECT_TRUE(loaded.get_future().get().ok());
  EXPECT_TRUE(infer(*s, "echo").ok());
  EXPECT_EQ(s->statistics().size(), 1U);
}

TEST_F(ServiceTest, LeasesBodiesWithinTheModelsQuota) {
  model("echo", kEcho);
  const auto s = service([](ServiceOptions& options) { options.body_quota_per_model = {1000}; });
  ASSERT_TRUE(s->start().ok());
  auto body = s->lease_body("echo", {4000});
  ASSERT_TRUE(body.ok());
  EXPECT_EQ((*body)->bytes().size(), 4000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*body)->bytes().data()) % 64, 0U);
  EXPECT_TRUE((*body)->charge({1000}).ok());
  EXPECT_EQ((*body)->charge({1001}).error().code(), ErrorCode::kResourceExhausted);
}

TEST_F(ServiceTest, DrainingTurnsReadinessOffAndLivenessNot) {
  model("echo", kEcho);
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  EXPECT_TRUE(s->drain(milliseconds(1000)));
  EXPECT_FALSE(s->ready());
  EXPECT_FALSE(s->accepts());
  EXPECT_TRUE(s->live());
  EXPECT_EQ(infer(*s, "echo").error().code(), ErrorCode::kUnavailable);
}

TEST_F(ServiceTest, ALostProcessorTurnsReadinessOffAndTheEndIsClean) {
  model("echo", kEcho);
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  EXPECT_EQ(infer(*s, "echo", 99).error().code(), ErrorCode::kDeviceLost);
  while (s->ready()) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(infer(*s, "echo").error().code(), ErrorCode::kDeviceLost);
  EXPECT_FALSE(s->accepts());
  EXPECT_TRUE(s->find("echo", std::nullopt).ok());
}

TEST_F(ServiceTest, AnUnknownPolicyIsAnError) {
  ServiceOptions options;
  options.policy = "nonsense";
  EXPECT_FALSE(
      Service::create(std::move(options), device::make_host_device({}).value(), std::make_unique<engine::FakeEngine>())
          .ok());
}

}  // namespace
}  // namespace tessera::runtime::test
