// A backend that adds and subtracts, for tests of the HTTP front end without models.
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/affinity.h"
#include "server/http/backend.h"

namespace tessera::server::http {

// Heap memory with a quota, as BodyMemory. Thread-safe through its atomics.
class HeapBody final : public runtime::BodyMemory {
 public:
  HeapBody(std::size_t size, std::size_t quota, std::atomic<std::size_t>& charged)
      : memory_(size + 64), size_(size), quota_(quota), charged_(charged) {}
  ~HeapBody() override { charged_ -= mine_; }
  std::span<std::byte> bytes() override {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return {memory_.data() + (64 - address % 64) % 64, size_};
  }
  Status charge(Bytes arrived) override {
    charged_ += arrived.value - mine_;
    mine_ = arrived.value;
    return charged_ > quota_ ? Status(Error(ErrorCode::kResourceExhausted, "over quota")) : ok_status();
  }

 private:
  std::vector<std::byte> memory_;
  const std::size_t size_;
  const std::size_t quota_;
  std::atomic<std::size_t>& charged_;
  std::size_t mine_ = 0;
};

// Model "addsub": INPUT0, INPUT1 of INT32 [1,n] give OUTPUT0 (sum) and OUTPUT1 (difference). Model "hold": answered by
// release(). Model "echo": its input comes back. Thread-safe.
class FakeBackend final : public Backend {
 public:
  ~FakeBackend() override {
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  bool answer_on_another_thread = false;
  std::size_t quota = std::size_t{1} << 30;
  std::atomic<std::size_t> charged{0};
  std::atomic<std::uint64_t> copied{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> inferred{0};
  SharedMemory memory;

  void infer(std::shared_ptr<runtime::InferCall> call) override {
    ++inferred;
    const std::lock_guard lock(mutex_);
    if (call->request.model == "hold") {
      held_.push_back(std::move(call));
    } else if (answer_on_another_thread) {
      threads_.emplace_back([call] { call->done(compute(call->request)); });
    } else {
      call->done(compute(call->request));
    }
  }

  void cancel(const runtime::InferCall&) override { ++cancelled; }

  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  void release() {
    std::vector<std::shared_ptr<runtime::InferCall>> calls;
    {
      const std::lock_guard lock(mutex_);
      calls.swap(held_);
    }
    for (const auto& call : calls) {
      call->done(compute(call->request));
    }
  }

  Result<std::shared_ptr<runtime::BodyMemory>> lease_body(std::string_view model, Bytes size) override {
    if (model == "none") {
      return not_found("Request for unknown model: 'none' is not found");
    }
    return std::shared_ptr<runtime::BodyMemory>(std::make_shared<HeapBody>(size.value, quota, charged));
  }

  Result<std::shared_ptr<const model::Instance>> find(std::string_view model, std::optional<std::int64_t>) override {
    if (model == "none") {
      return not_found("Request for unknown model: 'none' is not found");
    }
    auto instance = std::make_shared<model::Instance>();
    instance->name = model;
    instance->signature.max_batch_size = 8;
    instance->signature.inputs = {{"INPUT0", DType::kInt32, {16}}};
    return std::shared_ptr<const model::Instance>(std::move(instance));
  }

  void count_copied(Bytes bytes) override { copied += bytes.value; }
  const SharedMemory& shared_memory() override { return memory; }

  // Of the threads that called control(), each once.
  std::vector<CpuSet> places() {
    const std::lock_guard lock(mutex_);
    std::vector<CpuSet> found;
    for (const auto& [thread, place] : places_) {
      found.push_back(place);
    }
    return found;
  }

  void control(const Route& route, Method, std::string body, Reply reply) override {
    if (const auto place = cpus_of_this_thread(); place.ok()) {
      const std::lock_guard lock(mutex_);
      places_[std::this_thread::get_id()] = *place;
    }
    Answer answer;
    answer.body = "{\"endpoint\":" + std::to_string(static_cast<int>(route.endpoint)) +
                  ",\"body\":" + std::to_string(body.size()) + "}";
    reply(std::move(answer));
  }

 private:
  struct Outputs {
    std::vector<std::int32_t> sum;
    std::vector<std::int32_t> difference;
    std::vector<std::byte> echo;
  };

  static Result<InferResponse> compute(const InferRequest& request) {
    auto outputs = std::make_shared<Outputs>();
    InferResponse response;
    response.model = request.model;
    response.version = request.version.value_or(1);
    if (request.model == "none") {
      return not_found("Request for unknown model: 'none' is not found");
    }
    if (request.model == "busy") {
      return unavailable("later").with_retry_after(std::chrono::milliseconds(1500));
    }
    if (request.model == "echo") {
      const TensorView& input = request.inputs.at(0).tensor;
      outputs->echo.assign(input.data.begin(), input.data.end());
      response.outputs.push_back({"OUTPUT0", {input.dtype, input.shape, outputs->echo}});
    } else {
      const auto values = [&request](std::size_t i) {
        const auto data = request.inputs.at(i).tensor.data;
        std::vector<std::int32_t> result(data.size() / 4);
        std::memcpy(result.data(), data.data(), result.size() * 4);
        return result;
      };
      if (request.inputs.size() != 2) {
        return invalid_argument("expected 2 inputs");
      }
      outputs->sum = values(0);
      outputs->difference = values(0);
      const auto other = values(1);
      for (std::size_t i = 0; i < std::min(other.size(), outputs->sum.size()); ++i) {
        outputs->sum[i] += other[i];
        outputs->difference[i] -= other[i];
      }
      const Shape& shape = request.inputs[0].tensor.shape;
      response.outputs.push_back({"OUTPUT0", {DType::kInt32, shape, std::as_bytes(std::span(outputs->sum))}});
      response.outputs.push_back({"OUTPUT1", {DType::kInt32, shape, std::as_bytes(std::span(outputs->difference))}});
    }
    response.memory = outputs;
    return response;
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<runtime::InferCall>> held_;
  std::vector<std::thread> threads_;
  std::map<std::thread::id, CpuSet> places_;
};

}  // namespace tessera::server::http
