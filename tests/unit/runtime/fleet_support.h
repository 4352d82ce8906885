// A service on pretended devices, with pretended models, for tests of several devices and of faults.
#pragma once

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "device/fake/fake_device.h"
#include "engine/fake/fake_engine.h"
#include "runtime/service.h"
#include "support.h"

namespace tessera::runtime::test {

namespace fs = std::filesystem;

inline std::string model_text(const std::string& latency) {
  return "tessera-fake 1\ninput INPUT0 INT32 [4]\noutput OUTPUT0 INT32 [4] copy INPUT0\nlatency 1 1 " + latency + "\n";
}

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    root_ = fs::temp_directory_path() / ("tessera-fleet-" + std::to_string(::getpid()) + "-" +
                                         testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root_);
  }
  ~FleetTest() override { fs::remove_all(root_); }

  void model(const std::string& name, const std::string& latency, const std::string& config = "",
             const std::string& version = "1") {
    fs::create_directories(root_ / name / version);
    std::ofstream(root_ / name / version / "model.onnx") << model_text(latency);
    if (!config.empty()) {
      std::ofstream(root_ / name / "config.pbtxt") << config;
    }
  }

  std::unique_ptr<Service> service(
      std::size_t devices, const std::function<void(ServiceOptions&)>& adjust = [](ServiceOptions&) {}) {
    ServiceOptions options;
    options.models.repositories = {root_};
    options.models.defaults.device_kind = "cuda";
    options.on_all_lost = [this] { ++all_lost_; };
    options.on_stuck = [this] { ++stuck_changes_; };
    adjust(options);
    std::vector<DeviceUnit> units;
    for (std::size_t i = 0; i < devices; ++i) {
      units.push_back(unit());
    }
    auto made = Service::create(std::move(options), std::move(units));
    TESSERA_CHECK(made.ok());
    return std::move(made).value();
  }

  // The next device and its engine.
  DeviceUnit unit() {
    device::FakeOptions fake;
    fake.name = "fake:" + std::to_string(devices_.size());
    fake.atoms = 2;
    fake.clock = device::FakeOptions::Clock::kReal;
    fake.steady = steady_;
    auto device = std::make_unique<device::FakeDevice>(fake);
    auto engine = std::make_unique<engine::FakeEngine>(engine::FakeEngine::Plans::kFakeDevice);
    devices_.push_back(device.get());
    engines_.push_back(engine.get());
    return {std::move(device), std::move(engine)};
  }

  // What the first load on it says, or why it was not added.
  Status add(Service& service) {
    return wait_for([&](auto done) {
      const Status added = service.add_device(unit(), done);
      if (!added.ok()) {
        done(added);
      }
    });
  }

  std::shared_ptr<TestCall> call(const std::string& name) {
    auto call = std::make_shared<TestCall>();
    call->request.model = name;
    call->request.inputs = {{"INPUT0", {DType::kInt32, {4}, std::as_bytes(std::span(numbers_))}}};
    return call;
  }
  Result<InferResponse> infer(Service& service, const std::string& name) {
    const auto made = call(name);
    service.infer(made);
    return made->wait();
  }
  static std::uint64_t launches(const Service& service, std::size_t device) {
    return service.device_statistics().at(device).launches;
  }
  static Status wait_for(const std::function<void(std::function<void(Status)>)>& asked) {
    std::promise<Status> answer;
    asked([&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  template <typename Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  }
  // "name version STATE reason" of each version.
  static std::vector<std::string> index(Service& service) {
    std::vector<std::string> out;
    for (const auto& entry : service.models().index()) {
      out.push_back(entry.name + " " + entry.version + " " + entry.state + " " + entry.reason);
    }
    return out;
  }

  fs::path root_;
  std::array<std::int32_t, 4> numbers_{1, 2, 3, 4};
  std::vector<device::FakeDevice*> devices_;
  std::vector<engine::FakeEngine*> engines_;
  std::atomic<int> all_lost_{0};
  std::atomic<int> stuck_changes_{0};
  bool steady_ = false;  // of devices made from now on
};

}  // namespace tessera::runtime::test
