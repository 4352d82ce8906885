// Replicas of a model on two halves of a card, behind a server without its wire: with `determinism` in its
// configuration all of them answer with the same bits. With a real network where TESSERA_GPU_MODELS names a repository.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "device/cuda/cuda_device.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "engine/onnxruntime/cuda/trial_batch.h"
#include "runtime/service.h"
#include "tests/gpu/settings.h"
#include "tests/support/figure.h"
#include "tests/support/onnx_writer.h"

namespace tessera::runtime::test {
namespace {

namespace fs = std::filesystem;

class Answer final : public InferCall {
 public:
  void done(Result<InferResponse> result) noexcept override { result_.set_value(std::move(result)); }
  Result<InferResponse> wait() { return result_.get_future().get(); }

 private:
  std::promise<Result<InferResponse>> result_;
};

class ReplicasOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    const auto driver = device::Driver::open();
    if (!driver.ok()) {
      GTEST_SKIP() << driver.error().message();
    }
    auto gpu = device::Gpu::open(*driver, 0);
    ASSERT_TRUE(gpu.ok()) << gpu.error().message();
    const std::uint16_t atoms = (*gpu)->atoms();
    if (atoms < 2) {
      GTEST_SKIP() << "this card is one atom";
    }
    const auto lower = static_cast<std::uint16_t>(atoms / 2);
    for (const Slice& half : {Slice{0, lower}, Slice{lower, static_cast<std::uint16_t>(atoms - lower)}}) {
      device::CudaOptions options;
      options.spec = {.gpu = 0, .atoms = half};
      options.streams = 4;
      auto device = device::make_cuda_device(*gpu, options);
      ASSERT_TRUE(device.ok()) << device.error().message();
      auto engine = engine::CudaEngine::create(**device, shared_);
      if (!engine.ok() && engine.error().code() == ErrorCode::kUnavailable) {
        GTEST_SKIP() << engine.error().message();
      }
      ASSERT_TRUE(engine.ok()) << engine.error().message();
      shared_.push_back((*engine)->shared());
      units_.push_back({*std::move(device), *std::move(engine)});
    }
    std::string name = (fs::temp_directory_path() / "tessera-gpu-replicas-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    shared_.clear();
    units_.clear();
    if (!folder_.empty()) {
      fs::remove_all(folder_);
    }
  }

  // A row a batch, so that what is joined changes nothing.
  void configure(const std::string& determinism) const {
    std::ofstream(folder_ / "net" / "config.pbtxt")
        << "max_batch_size: 1\nparameters { key: \"determinism\" value { string_value: \"" << determinism << "\" } }\n";
  }
  static test_support::OnnxWriter small_model() {
    std::mt19937 random(7);
    const auto floats = [&](std::size_t count) {
      std::string out;
      for (std::size_t i = 0; i < count; ++i) {
        const float value = static_cast<float>(static_cast<std::int32_t>(random())) / 2147483648.0F * 0.3F;
        out.append(reinterpret_cast<const char*>(&value), sizeof value);
      }
      return out;
    };
    using A = test_support::OnnxAttribute;
    test_support::OnnxWriter model;
    model.input("image", DType::kFp32, {"batch", 3, 64, 64}).output("map", DType::kFp32, {"batch", 32, 64, 64});
    model.initializer("w1", DType::kFp32, {64, 3, 3, 3}, floats(64 * 27))
        .initializer("w2", DType::kFp32, {32, 64, 3, 3}, floats(32 * 64 * 9));
    model.node("Conv", {"image", "w1"}, {"c1"}, {A::integers("pads", {1, 1, 1, 1})}).node("Relu", {"c1"}, {"r1"});
    model.node("Conv", {"r1", "w2"}, {"map"}, {A::integers("pads", {1, 1, 1, 1})});
    return model;
  }
  static bool all_have_launched(const Service& service) {
    const auto devices = service.device_statistics();
    return std::all_of(devices.begin(), devices.end(), [](const auto& device) { return device.launches > 0; });
  }
  // What `requests` equal requests are answered, by bits; all of them at once, so that both halves answer some.
  std::set<std::vector<std::byte>> answers(Service& service, int requests) {
    const auto instance = service.find("net", std::nullopt);
    EXPECT_TRUE(instance.ok());
    std::vector<std::vector<std::byte>> inputs;
    std::mt19937 random(5);
    for (const TensorSpec& spec : (*instance)->signature.inputs) {
      auto& bytes = inputs.emplace_back(*byte_size(spec.dtype, spec.shape.with_first(1)));
      for (std::size_t at = 0; at + 2 <= bytes.size(); at += 2) {  // of floats and halves: small ones
        const std::uint16_t half = static_cast<std::uint16_t>((random() & 0x83ffU) | 0x3800U);
        std::memcpy(bytes.data() + at, &half, sizeof half);
      }
    }
    std::vector<std::shared_ptr<Answer>> calls;
    for (int i = 0; i < requests; ++i) {
      auto call = std::make_shared<Answer>();
      call->request.model = "net";
      for (std::size_t at = 0; at < inputs.size(); ++at) {
        const TensorSpec& spec = (*instance)->signature.inputs[at];
        call->request.inputs.push_back({spec.name, {spec.dtype, spec.shape.with_first(1), inputs[at]}});
      }
      calls.push_back(std::move(call));
    }
    for (const auto& call : calls) {
      service.infer(call);
    }
    std::set<std::vector<std::byte>> found;
    for (const auto& call : calls) {
      const auto answer = call->wait();
      EXPECT_TRUE(answer.ok()) << answer.error().message();
      if (answer.ok()) {
        const auto bytes = answer->outputs.front().tensor.data;
        found.emplace(bytes.begin(), bytes.end());
      }
    }
    return found;
  }

  fs::path folder_;
  std::vector<engine::CudaShared> shared_;
  std::vector<DeviceUnit> units_;
};

TEST_F(ReplicasOnGpu, WithDeterminismInTheConfigurationAllAnswerAlike) {
  fs::create_directories(folder_ / "net" / "1");
  const auto real = test_support::real_model("resnet50");
  if (real) {
    for (const auto& file : fs::directory_iterator(real->parent_path())) {
      fs::copy_file(file.path(), folder_ / "net" / "1" / file.path().filename());
    }
  } else {
    small_model().save(folder_ / "net" / "1" / "model.onnx");
  }
  configure("slice");
  ServiceOptions options;
  options.models.repositories = {folder_};
  options.models.defaults.device_kind = "cuda";
  auto made = Service::create(std::move(options), std::move(units_));
  ASSERT_TRUE(made.ok()) << made.error().message();
  Service& service = **made;
  const Status started = service.start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  constexpr int kRequests = 400;
  auto found = answers(service, kRequests);
  int asked = kRequests;
  // The second replica may still be on its way.
  for (const TimePoint end = now() + std::chrono::seconds(15); !all_have_launched(service) && now() < end;) {
    found.merge(answers(service, kRequests));
    asked += kRequests;
  }
  EXPECT_TRUE(all_have_launched(service)) << "a half did nothing";
  std::string launches;
  for (const auto& device : service.device_statistics()) {
    launches += (launches.empty() ? "" : ",") + std::to_string(device.launches);
  }
  test_support::figure("replicas_with_determinism", "{\"net\":\"" + std::string(real ? "resnet50" : "small") +
                                                        "\",\"answers\":" + std::to_string(asked) +
                                                        ",\"distinct\":" + std::to_string(found.size()) +
                                                        ",\"launches\":[" + launches + "]}");
  EXPECT_EQ(found.size(), 1U);
  static_cast<void>(service.drain(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace tessera::runtime::test
