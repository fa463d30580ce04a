# SPDX-License-Identifier: Apache-2.0
"""The smallest network there is: one neuron learns Fahrenheit from Celsius."""
