// Several models sharing the host's cores in one process: each one's throughput when all are saturated, against what it
// reaches alone on the whole machine. A server that loses nothing to sharing has a sum of these ratios of 1.
//
//   scripts/bench sharing [--models DIR] [--seconds N] [--rounds N] [--policy NAME] [--json FILE]
//
// DIR is a model repository (scripts/demo makes out/demo-repository); its models get inputs of zeros, free dimensions
// as `kFree` says.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "device/host/host_device.h"
#include "device/host/topology.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "runtime/service.h"

namespace tessera::bench {
namespace {

constexpr std::int64_t kFree =
    320;                         // rows, columns, widths that a model leaves open; a multiple of what OCR models want
constexpr int kOutstanding = 4;  // requests of each model on their way: enough to fill every slice

// One model's clients: as soon as a request is answered, the next one goes.
class Saturator {
 public:
  Saturator(runtime::Service& service, const model::Instance& instance) : service_(service), name_(instance.name) {
    for (const TensorSpec& spec : instance.signature.inputs) {
      Shape shape = instance.signature.max_batch_size > 0 ? spec.shape.with_first(1) : spec.shape;
      for (std::size_t i = 0; i < shape.rank(); ++i) {
        shape[i] = shape[i] == -1 ? kFree : shape[i];
      }
      const auto size = byte_size(spec.dtype, shape);
      if (!size.ok()) {
        std::fprintf(stderr, "%s: %s\n", name_.c_str(), size.error().message().c_str());
        std::exit(1);
      }
      data_.push_back(std::make_shared<std::vector<std::byte>>(*size));
      inputs_.push_back({spec.name, {spec.dtype, shape, *data_.back()}});
    }
  }

  const std::string& name() const { return name_; }

  void start() {
    stop_ = false;
    answered_ = 0;
    outstanding_ = kOutstanding;
    for (int i = 0; i < kOutstanding; ++i) {
      send();
    }
  }
  // Requests answered since start().
  std::uint64_t answered() const { return answered_; }
  void stop() {
    stop_ = true;
    while (outstanding_ > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  class Call : public runtime::InferCall {
   public:
    explicit Call(Saturator& owner) : owner_(owner) {}
    void done(Result<InferResponse> result) noexcept override { owner_.ended(result); }

   private:
    Saturator& owner_;
  };

  void send() {
    auto call = std::make_shared<Call>(*this);
    call->request.model = name_;
    call->request.inputs = inputs_;
    call->request.arrival = now();
    service_.infer(std::move(call));
  }
  void ended(const Result<InferResponse>& result) noexcept {
    if (!result.ok()) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), result.error().message().c_str());
      std::exit(1);
    }
    ++answered_;
    if (stop_) {
      --outstanding_;
    } else {
      send();
    }
  }

  runtime::Service& service_;
  std::string name_;
  std::vector<std::shared_ptr<std::vector<std::byte>>> data_;
  std::vector<InputTensor> inputs_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<int> outstanding_{0};
};

// Answers a second of each, all saturated at once.
std::vector<double> saturate(const std::vector<Saturator*>& models, std::chrono::duration<double> time) {
  for (Saturator* model : models) {
    model->start();
  }
  std::this_thread::sleep_for(time / 4);  // queues fill, profiles settle
  std::vector<std::uint64_t> before;
  const TimePoint begin = now();
  for (const Saturator* model : models) {
    before.push_back(model->answered());
  }
  std::this_thread::sleep_for(time);
  const double seconds = std::chrono::duration<double>(now() - begin).count();
  std::vector<double> rates;
  for (std::size_t i = 0; i < models.size(); ++i) {
    rates.push_back(static_cast<double>(models[i]->answered() - before[i]) / seconds);
  }
  for (Saturator* model : models) {
    model->stop();
  }
  return rates;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

struct Arguments {
  std::string models = "out/demo-repository";
  std::string policy = "tessera";
  std::string json;
  double seconds = 4;
  int rounds = 3;
};

// Of every round, in requests a second by model; and the sum over the models of together / alone.
struct Rounds {
  std::vector<std::vector<double>> alone;
  std::vector<std::vector<double>> together;
  std::vector<double> sums;
};

// Alone and together in turns, so that a machine whose speed drifts slows both.
Rounds measure(const std::vector<Saturator*>& models, const Arguments& arguments) {
  Rounds measured{std::vector<std::vector<double>>(models.size()), std::vector<std::vector<double>>(models.size()), {}};
  const std::chrono::duration<double> time(arguments.seconds);
  for (int round = 0; round < arguments.rounds; ++round) {
    std::fprintf(stderr, "\rround %d of %d", round + 1, arguments.rounds);
    for (std::size_t i = 0; i < models.size(); ++i) {
      measured.alone[i].push_back(saturate({models[i]}, time)[0]);
    }
    const std::vector<double> rates = saturate(models, time * 2);
    double sum = 0;
    for (std::size_t i = 0; i < models.size(); ++i) {
      measured.together[i].push_back(rates[i]);
      sum += rates[i] / measured.alone[i].back();
    }
    measured.sums.push_back(sum);
  }
  std::fprintf(stderr, "\r              \r");
  return measured;
}

void report(const std::vector<Saturator*>& models, const Rounds& measured, const Arguments& arguments) {
  std::printf("%-20s %14s %16s %8s\n", "model", "alone /s", "together /s", "ratio");
  std::string json;
  for (std::size_t i = 0; i < models.size(); ++i) {
    const double alone = median(measured.alone[i]);
    const double together = median(measured.together[i]);
    std::printf("%-20s %14.1f %16.1f %8.3f\n", models[i]->name().c_str(), alone, together, together / alone);
    json += (i > 0 ? "," : "") + std::string("{\"model\":\"") + models[i]->name() +
            "\",\"alone\":" + std::to_string(alone) + ",\"together\":" + std::to_string(together) + "}";
  }
  const auto [least, most] = std::minmax_element(measured.sums.begin(), measured.sums.end());
  const double middle = median(measured.sums);
  std::printf("sum of ratios: min %.3f, median %.3f (bar 0.95), max %.3f over %d rounds\n", *least, middle, *most,
              arguments.rounds);
  if (!arguments.json.empty()) {
    std::ofstream(arguments.json) << "{\"policy\":\"" << arguments.policy << "\",\"rounds\":" << arguments.rounds
                                  << ",\"sum\":" << middle << ",\"sum_min\":" << *least << ",\"sum_max\":" << *most
                                  << ",\"models\":[" << json << "]}\n";
  }
}

Result<std::unique_ptr<runtime::Service>> start_service(const Arguments& arguments) {
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of());
  TESSERA_ASSIGN_OR_RETURN(auto device, device::make_host_device({}));
  TESSERA_ASSIGN_OR_RETURN(auto engine, engine::OnnxEngine::create(topology));
  runtime::ServiceOptions options;
  options.policy = arguments.policy;
  options.models.repositories = {arguments.models};
  options.models.defaults.device_kind = "host";
  TESSERA_ASSIGN_OR_RETURN(auto service, runtime::Service::create(options, std::move(device), std::move(engine)));
  TESSERA_RETURN_IF_ERROR(service->start());
  return service;
}

int run(const Arguments& arguments) {
  const auto service = start_service(arguments);
  if (!service.ok()) {
    std::fprintf(stderr, "%s\n", service.error().message().c_str());
    return 1;
  }
  std::vector<std::unique_ptr<Saturator>> models;
  std::vector<Saturator*> all;
  for (const auto& instance : (*service)->serving()) {
    all.push_back(models.emplace_back(std::make_unique<Saturator>(**service, *instance)).get());
  }
  report(all, measure(all, arguments), arguments);
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  tessera::bench::Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--models") {
      arguments.models = value;
    } else if (flag == "--policy") {
      arguments.policy = value;
    } else if (flag == "--seconds") {
      arguments.seconds = std::max(0.5, std::atof(value));
    } else if (flag == "--rounds") {
      arguments.rounds = std::max(1, std::atoi(value));
    } else if (flag == "--json") {
      arguments.json = value;
    } else {
      std::fprintf(stderr, "unknown flag %s; known: --models --policy --seconds --rounds --json\n", flag.c_str());
      return 2;
    }
  }
  tessera::set_up_log(tessera::LogFormat::kText, tessera::LogLevel::kWarning);
  return tessera::bench::run(arguments);
}
